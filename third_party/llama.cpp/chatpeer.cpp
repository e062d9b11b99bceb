// chatpeer renders a conversation through chat templates as llama.cpp's tools do: by all of common/chat.cpp, of which
// ggufprune links the engine alone. Tests compare the two.
//
//   chatpeer BOS EOS TEMPLATE... < messages.json
//
// messages.json is [{"role": ..., "content": ...}, ...]. For each template file one line of JSON is printed: {"text": ...}, with the
// opening of the assistant's reply {"open": ...}, or {"error": ...}.
#include "chat.h"
#include "log.h"

#include <cstdio>
#include <ctime>
#include <fstream>
#include <iostream>
#include <iterator>

// The day is fixed here as it is in ggufprune; templates ask for it in two ways.
extern "C" time_t time(time_t * out) noexcept {
    if (out) *out = 1721995200;
    return 1721995200;
}

static std::string slurp(std::istream & in) { return {std::istreambuf_iterator<char>(in), {}}; }

static common_json render(const std::string & source, const char * bos, const char * eos, const common_json & messages) {
    common_json out = common_json::object();
    try {
        auto templates = common_chat_templates_init(nullptr, source, bos, eos);
        common_chat_templates_inputs in;
        in.use_jinja = true;
        in.messages  = common_chat_msgs_parse_oaicompat(messages);
        in.chat_template_kwargs["date_string"] = "\"26 Jul 2024\"";
        in.chat_template_kwargs["datetime"]    = "\"Jul 26 2024\"";
        in.add_generation_prompt = false;
        out["text"] = common_chat_templates_apply(templates.get(), in).prompt;
        in.add_generation_prompt = true;
        out["open"] = common_chat_templates_apply(templates.get(), in).prompt;
    } catch (const std::exception & e) {
        out["error"] = std::string(e.what());
    }
    return out;
}

int main(int argc, char ** argv) {
    if (argc < 4) {
        fprintf(stderr, "usage: chatpeer BOS EOS TEMPLATE... < messages.json\n");
        return 2;
    }
    common_log_pause(common_log_main());
    const common_json messages = common_json::parse(slurp(std::cin));
    for (int i = 3; i < argc; i++) {
        std::ifstream file(argv[i]);
        printf("%s\n", render(slurp(file), argv[1], argv[2], messages).dump().c_str());
    }
    return 0;
}
