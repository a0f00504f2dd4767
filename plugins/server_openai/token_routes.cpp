#include "plugins/server_openai/token_routes.hpp"

#include "plugins/server_openai/json_writer.hpp"
#include "plugins/server_openai/prepare.hpp"

namespace tare::server {
namespace {

void write_ids(std::span<const int32_t> ids, JsonWriter& to) {
  to.begin_array();
  for (int32_t id : ids) to.number(int64_t{id});
  to.end_array();
}

}  // namespace

HttpResponse tokenize(const JsonObject& body, std::span<const ServedModel> models) {
  Fields fields(body);
  std::string name, prompt;
  Conversation conversation;
  bool add_special = true, with_strings = false;
  fields.string("model", &name);
  fields.string("prompt", &prompt);
  read_conversation(fields, &conversation);
  const bool is_text = fields.has("prompt"), is_chat = fields.has("messages");
  if (is_text == is_chat) fields.fail("prompt", "prompt or messages must be given, expected exactly one of them");
  fields.boolean("add_special_tokens", &add_special);
  fields.boolean("return_token_strs", &with_strings);
  Refusal refusal = fields.finish();
  ServedModel model;
  std::vector<int32_t> ids;
  if (!refusal) refusal = find_model(models, name, true, &model);
  if (!refusal)
    refusal = is_text ? encode_text(model, prompt, add_special, &ids) : encode_conversation(model, conversation, &ids);
  if (refusal) return to_response(*refusal);

  JsonWriter to;
  to.begin_object().member("count", static_cast<int64_t>(ids.size())).member("max_model_len", int64_t{model.context});
  to.key("tokens");
  write_ids(ids, to);
  if (with_strings) {
    to.key("token_strs").begin_array();
    for (int32_t id : ids) {
      const auto token = model.text->token_text(id);
      to.string(token.ok() ? *token : std::string());
    }
    to.end_array();
  }
  to.end_object();
  HttpResponse response;
  response.body = to.take();
  return response;
}

HttpResponse detokenize(const JsonObject& body, std::span<const ServedModel> models) {
  Fields fields(body);
  std::string name;
  std::vector<int32_t> ids;
  fields.string("model", &name);
  fields.require("tokens");
  fields.ids("tokens", &ids);
  Refusal refusal = fields.finish();
  ServedModel model;
  if (!refusal) refusal = find_model(models, name, true, &model);
  if (!refusal && model.text == nullptr)
    refusal = bad_field("model", text("model '", model.name, "' has no tokenizer, expected one that has"));
  for (size_t i = 0; !refusal && i < ids.size(); ++i)
    if (ids[i] >= model.text->vocabulary_size())
      refusal = bad_field(text("tokens[", i, "]"),
                          text("tokens[", i, "] is ", ids[i], ", expected 0 to ", model.text->vocabulary_size() - 1));
  if (refusal) return to_response(*refusal);
  const auto words = model.text->decode(ids, false);
  if (!words.ok()) return to_response(to_error(words.status()));
  JsonWriter to;
  to.begin_object().member("prompt", *words).end_object();
  HttpResponse response;
  response.body = to.take();
  return response;
}

}  // namespace tare::server
