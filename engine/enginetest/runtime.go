// Package enginetest is a runtime for tests that needs no llama.cpp: a model whose logits are a hash of the last token and of the
// blocks that are there. What a job makes of a model (a plan, a file, a check, a comparison) can be tested on it, since leaving a
// block out of its graph and loading a file without that block give the same numbers.
package enginetest

import (
	"context"
	"fmt"
	"log/slog"
	"strings"

	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/gguf"
)

// Runtime implements engine.Runtime on any GGUF file of a decoder: only its metadata and the names of its tensors count. Of the
// types of weights it decodes F32 alone, and what it quantises is zeros.
type Runtime struct {
	// OnLoad, if not nil, is called before a file is loaded and may refuse that.
	OnLoad func(path string) error
	// Wrong makes a loaded file compute something else than it should: a check must find that.
	Wrong func(path string) bool
	// Wrap, if not nil, gets each loaded model and returns what is used in its place: the same one with another answer to something.
	Wrap func(path string, m engine.Model) engine.Model
}

var _ engine.Runtime = Runtime{}

// Load opens the file at path. A file that this program pruned computes what its source does without the blocks in its metadata. One
// that lacks a part of a block is refused.
func (r Runtime) Load(ctx context.Context, path string, _ engine.ModelParams) (engine.Model, error) {
	if ctx.Err() != nil {
		return nil, &engine.Error{Code: engine.Cancelled, Op: "load model", Text: "cancelled"}
	}
	if r.OnLoad != nil {
		if err := r.OnLoad(path); err != nil {
			return nil, err
		}
	}
	f, err := gguf.Open(path)
	if err != nil {
		return nil, &engine.Error{Code: engine.LoadFailed, Op: "load model", Text: err.Error()}
	}
	m, err := newModel(f)
	if err != nil {
		f.Close()
		return nil, &engine.Error{Code: engine.LoadFailed, Op: "load model", Text: err.Error()}
	}
	if r.Wrong != nil && r.Wrong(path) {
		m.seed++
	}
	if r.Wrap != nil {
		return r.Wrap(path, m), nil
	}
	return m, nil
}

// NewChatTemplate returns a template that writes "role: content" lines, whatever source is; "" is refused. One that begins with
// "refuse " does not take messages that hold the rest of it.
func (Runtime) NewChatTemplate(source, _, _ string) (engine.ChatTemplate, error) {
	if source == "" {
		return nil, &engine.Error{Code: engine.BadInput, Op: "chat template", Text: "it is empty"}
	}
	_, refused, _ := strings.Cut(source, "refuse ")
	return template{refused}, nil
}

type template struct{ refused string } // "" refuses nothing

func (t template) Apply(messages []engine.Message, openReply bool) (string, error) {
	var b strings.Builder
	for _, m := range messages {
		if t.refused != "" && strings.Contains(m.Content, t.refused) {
			return "", &engine.Error{Code: engine.BadInput, Op: "chat template", Text: "in line 1: Error: not in this house"}
		}
		fmt.Fprintf(&b, "%s: %s\n", m.Role, m.Content)
	}
	if openReply {
		b.WriteString("assistant: ")
	}
	return b.String(), nil
}

func (template) Close() {}

// Version is no release of llama.cpp's.
func (Runtime) Version() engine.Version { return engine.Version{Tag: "LLAMA", Tree: "TREE"} }

// Devices is a CPU.
func (Runtime) Devices() []engine.Device {
	return []engine.Device{{Name: "CPU", Description: "a test's processor", Type: "cpu"}}
}

// PhysicalCores is a number that no machine of today has.
func (Runtime) PhysicalCores() int { return 3 }

// SetLogger has nothing to log.
func (Runtime) SetLogger(*slog.Logger) {}
