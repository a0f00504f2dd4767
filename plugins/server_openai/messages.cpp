#include "plugins/server_openai/messages.hpp"

#include "plugins/server_openai/fields.hpp"

namespace tare::server {
namespace {

bool is_empty_list(const Json& json) { return json.as<JsonArray>() && json.as<JsonArray>()->empty(); }

void read_part(Fields& message, const Json& json, const std::string& where, std::string* content) {
  const auto* object = json.as<JsonObject>();
  if (object == nullptr) return message.expected(where, json, "an object with type and text");
  const Json* type = find(*object, "type");
  const auto* name = type != nullptr ? type->as<std::string>() : nullptr;
  if (name == nullptr) return message.fail(where + ".type", where + ".type is missing, expected 'text'");
  if (*name != "text")
    return message.fail(where + ".type", text("a content part of type ", quoted(*name), " in ", where,
                                              " is not implemented by this server, expected 'text'"));
  Fields part(*object, where + ".");
  std::string words;
  part.find("type");
  part.string("text", &words);
  part.require("text");
  if (const Refusal refusal = part.finish()) return message.fail(where, refusal->message);
  if (!content->empty()) *content += '\n';
  *content += words;
}

Refusal read_message(const Json& json, size_t index, JsonObject* out) {
  const std::string prefix = text("messages[", index, "].");
  const auto* object = json.as<JsonObject>();
  if (object == nullptr)
    return bad_field(text("messages[", index, "]"),
                     text("messages[", index, "] is ", describe(json), ", expected an object with role and content"));
  Fields fields(*object, prefix);
  std::string role, content;
  fields.string("role", &role);
  fields.require("role");
  if (fields.ok() && role != "system" && role != "developer" && role != "user" && role != "assistant" && role != "tool")
    fields.expected("role", *find(*object, "role"), "'system', 'developer', 'user', 'assistant' or 'tool'");
  const Json* given = fields.find("content");
  if (given == nullptr) {
    fields.require("content");
  } else if (const auto* whole = given->as<std::string>()) {
    content = *whole;
  } else if (const auto* parts = given->as<JsonArray>()) {
    if (parts->empty()) fields.expected("content", *given, "a string or a list of at least one part");
    for (size_t i = 0; i < parts->size() && fields.ok(); ++i)
      read_part(fields, (*parts)[i], text("content[", i, "]"), &content);
  } else {
    fields.expected("content", *given, "a string or a list of text parts");
  }
  out->push_back({"role", {role == "developer" ? std::string("system") : role}});
  out->push_back({"content", {std::move(content)}});
  for (const char* name : {"name", "tool_call_id", "reasoning_content"}) {
    std::string value;
    fields.string(name, &value);
    if (fields.has(name)) out->push_back({name, {std::move(value)}});
  }
  // An answer of ours may come back as it is: its fields that say nothing are taken.
  fields.refuse("tool_calls", is_empty_list, "an empty list");
  fields.refuse("annotations", is_empty_list, "an empty list");
  for (const char* name : {"refusal", "function_call", "audio"}) fields.refuse(name);
  return fields.finish();
}

}  // namespace

Refusal read_messages(const JsonArray& messages, Json* out) {
  if (messages.empty()) return bad_field("messages", "messages is an empty list, expected at least one message");
  JsonArray checked;
  for (size_t i = 0; i < messages.size(); ++i) {
    JsonObject message;
    if (Refusal refusal = read_message(messages[i], i, &message)) return refusal;
    checked.push_back({std::move(message)});
  }
  out->value = std::move(checked);
  return std::nullopt;
}

}  // namespace tare::server
