// Chat templates, rendered by llama.cpp's own template engine (common/jinja) as common/chat.cpp does it for a conversation
// without tools. A template needs no model: its text and those of BOS and EOS are all. A text that is the name of a template
// of libllama's, such as "chatml", stands for that one (src/llama-chat.cpp).
#include "edge.h"

#include "llama.h"

// The engine's headers define static functions that not every file uses.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#include "jinja/caps.h"
#include "jinja/lexer.h"
#include "jinja/parser.h"
#include "jinja/runtime.h"
#include "json.h"
#pragma GCC diagnostic pop

#include <algorithm>
#include <memory>
#include <vector>

struct bp_chat {
    bool           named = false; // source is the name of a template of libllama's
    std::string    source, bos, eos;
    jinja::program program;
    jinja::caps    caps;
    std::string    text; // of the last rendering
};

namespace {

using json = common_json;

// The day on which templates believe to be: the default that Meta's templates have. With today's date the same calibration would
// have other tokens tomorrow, and an interrupted search could not go on.
constexpr const char * day_string = "26 Jul 2024";
constexpr const char * day_time   = "Jul 26 2024";
constexpr std::time_t  day        = 1721995200; // noon, UTC: the same day in nearly every time zone

// The messages as the template wants them. A template without a system role gets its text in front of the first user's, one
// that takes content in parts only gets one part.
json messages_for(const bp_chat * c, const char * const * roles, const char * const * contents, int32_t n) {
    std::vector<std::pair<std::string, std::string>> turns;
    for (int32_t i = 0; i < n; i++) turns.emplace_back(roles[i], contents[i]);
    if (!c->caps.supports_system_role && !turns.empty() && turns[0].first == "system") {
        if (turns.size() > 1) turns[1].second = turns[0].second + "\n" + turns[1].second;
        turns.erase(turns.begin());
    }
    const bool parts = c->caps.supports_typed_content && !c->caps.supports_string_content;
    json out = json::array();
    for (const auto & t : turns) {
        json message = json::object();
        message["role"] = t.first;
        if (parts) {
            json part = json::object(), list = json::array();
            part["type"] = "text";
            part["text"] = t.second;
            list.push_back(part);
            message["content"] = list;
        } else {
            message["content"] = t.second;
        }
        out.push_back(message);
    }
    return out;
}

bool is_name(const std::string & source) {
    std::vector<const char *> names(llama_chat_builtin_templates(nullptr, 0));
    llama_chat_builtin_templates(names.data(), names.size());
    return std::any_of(names.begin(), names.end(), [&](const char * name) { return source == name; });
}

// Renders by a template of libllama's, as common/chat.cpp does without --jinja.
void apply_named(bp_chat * c, const char * const * roles, const char * const * contents, int32_t n, bool open) {
    std::vector<llama_chat_message> turns;
    for (int32_t i = 0; i < n; i++) turns.push_back({roles[i], contents[i]});
    for (int32_t need = 0;;) {
        c->text.resize(need);
        const int32_t len = llama_chat_apply_template(c->source.c_str(), turns.data(), turns.size(), open, c->text.data(), need);
        if (len < 0) throw bp::Error(BP_BAD_INPUT, "llama.cpp's template " + c->source + " cannot be applied");
        if (len <= need) return c->text.resize(len);
        need = len;
    }
}

} // namespace

bp_status bp_chat_open(const char * source, const char * bos, const char * eos, bp_chat ** out, bp_err * err) {
    return bp::guarded(err, BP_BAD_INPUT, [&] {
        auto c = std::make_unique<bp_chat>();
        if (is_name(source)) {
            c->named  = true;
            c->source = source;
            *out = c.release();
            return;
        }
        jinja::lexer lexer;
        auto tokens = lexer.tokenize(source);
        c->program = jinja::parse_from_tokens(tokens);
        c->source  = tokens.source;
        c->bos     = bos;
        c->eos     = eos;
        c->caps    = jinja::caps_get(c->program);
        *out = c.release();
    });
}

void bp_chat_close(bp_chat * c) { delete c; }

bp_status bp_chat_apply(bp_chat * c, const char * const * roles, const char * const * contents, int32_t n, bool add_generation_prompt,
                        const char ** text, size_t * len, bp_err * err) {
    return bp::guarded(err, BP_BAD_INPUT, [&] {
        if (c->named) {
            apply_named(c, roles, contents, n, add_generation_prompt);
            *text = c->text.data();
            *len  = c->text.size();
            return;
        }
        json in = json::object();
        in["messages"]        = messages_for(c, roles, contents, n);
        in["bos_token"]       = c->bos;
        in["eos_token"]       = c->eos;
        in["enable_thinking"] = true;
        in["datetime"]        = day_time;
        in["date_string"]     = day_string;
        if (add_generation_prompt) in["add_generation_prompt"] = true;

        jinja::context ctx(c->source);
        ctx.current_time = day;
        jinja::global_from_json(ctx, in, false);
        jinja::runtime runtime(ctx);
        const jinja::value results = runtime.execute(c->program);
        c->text = jinja::runtime::gather_string_parts(results)->as_string().str();
        *text = c->text.data();
        *len  = c->text.size();
    });
}
