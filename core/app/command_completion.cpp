// tare completion bash|zsh|fish: a completion script made from the parser itself, so that it never lags behind.
#include <iostream>

#include "core/app/cli.hpp"

namespace tare {
namespace {

std::string options_of(const CLI::App& command) {
  std::string out;
  for (const CLI::Option* option : command.get_options())
    for (const std::string& name : option->get_lnames()) out += (out.empty() ? "--" : " --") + name;
  return out;
}

void bash(const CLI::App& app) {
  std::string names;
  for (const CLI::App* c : app.get_subcommands({})) names += (names.empty() ? "" : " ") + c->get_name();
  std::cout << "_tare() {\n  local cur=${COMP_WORDS[COMP_CWORD]} words=\"\"\n"
               "  if [ \"$COMP_CWORD\" -eq 1 ]; then words=\""
            << names << "\"; else\n    case \"${COMP_WORDS[1]}\" in\n";
  for (const CLI::App* c : app.get_subcommands({})) {
    std::string inner;
    for (const CLI::App* s : c->get_subcommands({})) inner += s->get_name() + " " + options_of(*s) + " ";
    std::cout << "      " << c->get_name() << ") words=\"" << inner << options_of(*c) << "\" ;;\n";
  }
  std::cout << "    esac\n  fi\n"
               "  case \"$cur\" in -*) COMPREPLY=($(compgen -W \"$words\" -- \"$cur\")) ;;\n"
               "    *) COMPREPLY=($(compgen -W \"$words\" -- \"$cur\") $(compgen -f -- \"$cur\")) ;; esac\n}\n"
               "complete -o filenames -F _tare tare\n";
}
void fish(const CLI::App& app) {
  std::cout << "complete -c tare -n __fish_use_subcommand -f\n";
  for (const CLI::App* c : app.get_subcommands({})) {
    std::cout << "complete -c tare -n __fish_use_subcommand -a " << c->get_name() << " -d '" << c->get_description()
              << "'\n";
    for (const CLI::Option* option : c->get_options())
      for (const std::string& name : option->get_lnames())
        std::cout << "complete -c tare -n '__fish_seen_subcommand_from " << c->get_name() << "' -l " << name << " -d '"
                  << option->get_description() << "'\n";
  }
}
int run(const CLI::App& app, const std::string& shell) {
  if (shell == "zsh") std::cout << "autoload -U +X bashcompinit && bashcompinit\n";
  if (shell == "fish")
    fish(app);
  else
    bash(app);
  return 0;
}

}  // namespace

void add_completion(CLI::App& app, CommandLine& line) {
  auto* command = app.add_subcommand("completion", "Print a completion script: source <(tare completion bash)");
  auto shell = std::make_shared<std::string>();
  command->add_option("SHELL", *shell, "bash, zsh or fish")->required()->check(CLI::IsMember({"bash", "zsh", "fish"}));
  command->callback([&app, &line, shell] { line.run = [&app, shell] { return run(app, *shell); }; });
}

}  // namespace tare
