// Asking an Application without sockets, and looking into JSON.
#pragma once
#include <string>
#include <string_view>

#include "plugins/server_openai/application.hpp"
#include "plugins/server_openai/json.hpp"

namespace tare::server::test {

// The response; a stream's whole text is its body.
HttpResponse ask(Application& application, std::string_view method, std::string_view target, std::string body = {},
                 std::string authorization = {});
// The value at "choices.0.message.content" as JSON text; "(absent)" where there is none.
std::string at(const std::string& json, std::string_view path);
// The data of each server-sent event.
std::vector<std::string> events(const std::string& stream);
// The answer of a 400 must name `param`; returns its message.
std::string refused(const HttpResponse& response, std::string_view param, int status = 400);

}  // namespace tare::server::test
