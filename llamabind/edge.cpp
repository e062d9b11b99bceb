#include "edge.h"

#include "ggml.h"

#include <cstdio>
#include <new>

namespace {

thread_local int guard_depth = 0;

// ggml calls this in place of printing the message. Where it returns, ggml aborts.
void on_abort(const char * message) {
    if (guard_depth > 0) throw bp::Error(BP_INTERNAL, message);
    fprintf(stderr, "%s\n", message);
}

} // namespace

namespace bp {

Guard::Guard() {
    static const auto before = ggml_set_abort_callback(on_abort); // once: ggml keeps it in a plain variable
    (void) before;
    guard_depth++;
}
Guard::~Guard() { guard_depth--; }

Unguarded::Unguarded() : depth(std::exchange(guard_depth, 0)) {}
Unguarded::~Unguarded() { guard_depth = depth; }

bp_status report(bp_err * err, bp_status otherwise) noexcept {
    auto say = [err](bp_status status, const char * text) {
        snprintf(err->text, sizeof(err->text), "%s", text);
        return status;
    };
    try {
        throw;
    } catch (const Error & e) {
        return say(e.status == BP_INTERNAL ? otherwise : e.status, e.what());
    } catch (const std::bad_alloc &) {
        return say(BP_OOM, "out of memory");
    } catch (const std::exception & e) {
        return say(otherwise, e.what());
    } catch (...) {
        return say(otherwise, "an exception of an unknown type");
    }
}

} // namespace bp
