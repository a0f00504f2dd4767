#include "plugins/server_openai/prepare.hpp"

namespace tare::server {
namespace {

ApiError no_text(const ServedModel& model) {
  return bad_field("model", text("model '", model.name, "' has no tokenizer, expected token ids in place of text"));
}

Refusal check_length(const ServedModel& model, size_t prompt_tokens, std::string_view param) {
  if (prompt_tokens < static_cast<size_t>(model.context)) return std::nullopt;
  ApiError error = bad_field(param, text("prompt has ", prompt_tokens, " tokens, the model takes ", model.context,
                                         " tokens of prompt and answer together"));
  error.code = "context_length_exceeded";
  return error;
}

// One engine request a choice.
void add_choices(const ServedModel& model, const GenerationFields& fields, const std::vector<int32_t>& prompt,
                 GenerationPlan* out) {
  out->prompt_tokens += static_cast<int64_t>(prompt.size());
  for (int32_t choice = 0; choice < fields.choices; ++choice) {
    GenerateRequest request;
    request.model = fields.model;
    request.prompt = prompt;
    request.sampling = fields.sampling;
    fields.asked.or_else(model.sampling).apply(request.sampling);
    request.choice = choice;
    request.max_tokens = fields.max_tokens;
    request.stop = fields.stop;
    request.stop_ids = fields.stop_ids;
    request.ignore_eos = fields.ignore_eos;
    request.skip_special = fields.skip_special;
    out->requests.push_back(std::move(request));
  }
}

void set_common(const ServedModel& model, const GenerationFields& fields, GenerationPlan* out) {
  out->model = model.name;
  out->text = model.text;
  out->stream = fields.stream;
  out->include_usage = fields.include_usage;
}

}  // namespace

Refusal find_model(std::span<const ServedModel> models, std::string_view name, bool may_be_empty, ServedModel* out) {
  for (const ServedModel& model : models) {
    if (model.name != name && !(may_be_empty && name.empty())) continue;
    *out = model;
    return std::nullopt;
  }
  std::string served;
  for (const ServedModel& model : models) served += (served.empty() ? "'" : ", '") + model.name + "'";
  return ApiError{.status = 404,
                  .message = text("the model ", quoted(name), " is not served here, expected one of ", served),
                  .param = "model",
                  .code = "model_not_found"};
}

Refusal encode_text(const ServedModel& model, std::string_view prompt, bool add_special, std::vector<int32_t>* out) {
  if (model.text == nullptr) return no_text(model);
  auto ids = model.text->encode(prompt, {.add_special = add_special, .parse_special = true});
  if (!ids.ok()) return to_error(ids.status());
  *out = std::move(*ids);
  return std::nullopt;
}

Refusal encode_conversation(const ServedModel& model, const Conversation& conversation, std::vector<int32_t>* out) {
  if (model.text == nullptr) return no_text(model);
  if (!model.text->has_template())
    return bad_field("messages", text("model '", model.name, "' has no chat template, expected /v1/completions"));
  const auto rendered = model.text->render(template_context(conversation), {});
  if (!rendered.ok()) return bad_field("messages", rendered.status().message());
  return encode_text(model, *rendered, true, out);
}

Refusal prepare_chat(const ServedModel& model, ChatRequest request, GenerationPlan* out) {
  out->kind = AnswerKind::chat;
  set_common(model, request.generation, out);
  out->logprobs = request.logprobs;
  out->top_logprobs = request.top_logprobs;
  std::vector<int32_t> ids;
  if (Refusal refusal = encode_conversation(model, request.conversation, &ids)) return refusal;
  if (Refusal refusal = check_length(model, ids.size(), "messages")) return refusal;
  add_choices(model, request.generation, ids, out);
  return std::nullopt;
}

Refusal prepare_completion(const ServedModel& model, CompletionRequest request, GenerationPlan* out) {
  out->kind = AnswerKind::completion;
  set_common(model, request.generation, out);
  out->logprobs = request.logprobs >= 0;
  out->top_logprobs = request.logprobs;
  for (const Prompt& prompt : request.prompts) {
    std::vector<int32_t> ids;
    std::string words;
    if (const auto* given = std::get_if<std::vector<int32_t>>(&prompt)) {
      ids = *given;
      if (request.echo && model.text == nullptr) return no_text(model);
      if (request.echo) {
        auto decoded = model.text->decode(ids, request.generation.skip_special);
        if (!decoded.ok()) return bad_field("prompt", decoded.status().message());
        words = std::move(*decoded);
      }
    } else {
      words = std::get<std::string>(prompt);
      if (Refusal refusal = encode_text(model, words, request.add_special, &ids)) return refusal;
    }
    if (ids.empty()) return bad_field("prompt", "prompt has no tokens, expected at least 1");
    if (Refusal refusal = check_length(model, ids.size(), "prompt")) return refusal;
    add_choices(model, request.generation, ids, out);
    out->echo.resize(out->requests.size(), request.echo ? words : std::string());
  }
  for (GenerateRequest& generate : out->requests) generate.echo_logprobs = request.echo && out->logprobs;
  return std::nullopt;
}

}  // namespace tare::server
