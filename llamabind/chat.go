package llamabind

/*
#include <stdlib.h>
#include "shim.h"
*/
import "C"

import (
	"strings"
	"unsafe"

	"github.com/ggufprune/ggufprune/engine"
)

// ChatTemplate is a model's chat template, ready to render. Close it. One goroutine at a time may use it.
type ChatTemplate struct{ c *C.bp_chat }

// maxTemplate is far above the templates that there are, the largest of which have 30 KB.
const maxTemplate = 1 << 20

// NewChatTemplate parses a template in Jinja with llama.cpp's engine. bos and eos are the texts of these tokens, "" for none.
func NewChatTemplate(source, bos, eos string) (*ChatTemplate, error) {
	const op = "chat template"
	start()
	switch {
	case strings.IndexByte(source, 0) >= 0:
		return nil, &engine.Error{Code: engine.BadInput, Op: op, Text: "it holds a zero byte"}
	case len(source) > maxTemplate:
		return nil, &engine.Error{Code: engine.BadInput, Op: op, Text: "it is larger than 1 MiB"}
	}
	strs := cStrings([]string{source, bos, eos})
	defer strs.free()
	t := new(ChatTemplate)
	var cerr C.bp_err
	st := C.bp_chat_open(strs.at(0), strs.at(1), strs.at(2), &t.c, &cerr)
	if err := toError(op, st, &cerr); err != nil {
		return nil, err
	}
	return t, nil
}

// Apply renders messages as llama.cpp's tools do with --jinja, but on a fixed day where the template writes a date. openReply
// adds what comes before the assistant's next words. The text has the names of special tokens in it, BOS among them where the
// template writes it. An error with code [BadInput] says why the template refuses the messages.
func (t *ChatTemplate) Apply(messages []engine.Message, openReply bool) (string, error) {
	var roles, contents []string
	for _, m := range messages {
		roles = append(roles, m.Role)
		contents = append(contents, strings.ReplaceAll(m.Content, "\x00", "")) // C ends a text there
	}
	r, c := cStrings(roles), cStrings(contents)
	defer r.free()
	defer c.free()
	var text *C.char
	var n C.size_t
	var cerr C.bp_err
	st := C.bp_chat_apply(t.c, r.first(), c.first(), C.int32_t(len(messages)), C.bool(openReply), &text, &n, &cerr)
	if err := toError("chat template", st, &cerr); err != nil {
		return "", err
	}
	return string(unsafe.Slice((*byte)(unsafe.Pointer(text)), int(n))), nil
}

// Close frees the template.
func (t *ChatTemplate) Close() {
	if t.c != nil {
		C.bp_chat_close(t.c)
		t.c = nil
	}
}

// cTexts is an array of C strings on the C heap.
type cTexts struct {
	p *[1 << 28]*C.char
	n int
}

func cStrings(s []string) cTexts {
	a := cTexts{(*[1 << 28]*C.char)(C.calloc(C.size_t(len(s)+1), C.size_t(unsafe.Sizeof((*C.char)(nil))))), len(s)}
	for i := range s {
		a.p[i] = C.CString(s[i])
	}
	return a
}

func (a cTexts) at(i int) *C.char { return a.p[i] }

func (a cTexts) first() **C.char { return &a.p[0] }

func (a cTexts) free() {
	for i := range a.n {
		C.free(unsafe.Pointer(a.p[i]))
	}
	C.free(unsafe.Pointer(a.p))
}
