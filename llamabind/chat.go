package llamabind

/*
#include "shim.h"
*/
import "C"

import (
	"strings"

	"github.com/ggufprune/ggufprune/engine"
)

// ChatTemplate is a model's chat template, ready to render. Close it. One goroutine at a time may use it.
type ChatTemplate struct{ c *C.bp_chat }

// maxTemplate is far above the templates that there are, the largest of which have 30 KB.
const maxTemplate = 1 << 20

// NewChatTemplate parses a template in Jinja with llama.cpp's engine. The name of one of llama.cpp's own, such as chatml, stands for
// that. bos and eos are the texts of these tokens, "" for none.
func NewChatTemplate(source, bos, eos string) (*ChatTemplate, error) {
	const op = "chat template"
	start()
	switch {
	case strings.IndexByte(source, 0) >= 0:
		return nil, &engine.Error{Code: engine.BadInput, Op: op, Text: "it holds a zero byte"}
	case len(source) > maxTemplate:
		return nil, &engine.Error{Code: engine.BadInput, Op: op, Text: "it is larger than 1 MiB"}
	}
	var a arena
	defer a.free()
	t := new(ChatTemplate)
	var cerr C.bp_err
	st := C.bp_chat_open(a.str(source), a.str(bos), a.str(eos), &t.c, &cerr)
	if err := toError(op, st, &cerr); err != nil {
		return nil, err
	}
	return t, nil
}

// Apply renders messages as llama.cpp's tools do with --jinja, but on a fixed day where the template writes a date. openReply
// adds what comes before the assistant's next words. The text has the names of special tokens in it, BOS among them where the
// template writes it. An error with code [engine.BadInput] says why the template refuses the messages.
func (t *ChatTemplate) Apply(messages []engine.Message, openReply bool) (string, error) {
	var roles, contents []string
	for _, m := range messages {
		roles = append(roles, m.Role)
		contents = append(contents, strings.ReplaceAll(m.Content, "\x00", "")) // C ends a text there
	}
	var a arena
	defer a.free()
	var text *C.char
	var n C.size_t
	var cerr C.bp_err
	st := C.bp_chat_apply(t.c, a.strs(roles), a.strs(contents), C.int32_t(len(messages)), C.bool(openReply), &text, &n, &cerr)
	if err := toError("chat template", st, &cerr); err != nil {
		return "", err
	}
	return string(borrow[byte](text, int(n))), nil
}

// Close frees the template.
func (t *ChatTemplate) Close() {
	if t.c != nil {
		C.bp_chat_close(t.c)
		t.c = nil
	}
}
