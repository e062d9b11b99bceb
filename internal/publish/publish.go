// Package publish makes a written file known to Ollama: its Modelfile, and the model in a server that runs.
package publish

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/ggufprune/ggufprune/gguf"
	"github.com/ggufprune/ggufprune/internal/modelref"
	"github.com/ggufprune/ggufprune/internal/ollama"
	"github.com/ggufprune/ggufprune/internal/outfile"
	"github.com/ggufprune/ggufprune/internal/progress"
)

// Request asks for a written file to be made known to Ollama.
type Request struct {
	Ollama string        // the name under which a running Ollama gets the file; "" for none
	Ref    *modelref.Ref // the name that led to the source; nil where a path was given
	Output string        // the file, where its name was given; "" where it was found
	Force  bool
}

// Publication is what was made for Ollama of a written file.
type Publication struct {
	Modelfile string // its path
	Name      string // of the model that Ollama has now; "" for none
	Err       error  // why it has none although it was to have one; the file is written and checked all the same
}

// parent is what Ollama keeps with the source; nil if it is not from there.
func (q Request) parent() *modelref.Ollama {
	if q.Ref == nil {
		return nil
	}
	return q.Ref.Ollama
}

// wantsModelfile reports whether the file is to run in Ollama: because that was asked for, or because its source is from there.
func (q Request) wantsModelfile() bool { return q.Ollama != "" || q.parent() != nil }

// modelfilePath is where the Modelfile of the GGUF file at path goes.
func modelfilePath(path string) string { return strings.TrimSuffix(path, ".gguf") + ".Modelfile" }

// CheckModelfile finds out before the work whether the Modelfile can be written.
func (q Request) CheckModelfile(inputs ...string) error {
	if !q.wantsModelfile() {
		return nil
	}
	return outfile.Check(modelfilePath(q.Output), q.Force, inputs...)
}

// CheckOllama finds out before the work whether Ollama will take the model: it runs, and has none of the name.
func (q Request) CheckOllama(ctx context.Context) error {
	if q.Ollama == "" {
		return nil
	}
	server, err := ollama.Connect(ctx)
	if err != nil || q.Force {
		return err
	}
	return server.CheckFree(ctx, q.Ollama)
}

// Publish writes the Modelfile and gives the file to Ollama. The file itself is done: what goes wrong now takes nothing back.
func (q Request) Publish(ctx context.Context, w gguf.Written, sink progress.Sink) *Publication {
	if !q.wantsModelfile() {
		return nil
	}
	p := new(Publication)
	if p.Modelfile, p.Err = q.writeModelfile(w.Path); p.Err != nil {
		p.Err = fmt.Errorf("%s is written, but its Modelfile is not: %w", w.Path, p.Err)
		return p
	}
	if q.Ollama == "" {
		return p
	}
	if err := q.create(ctx, w, sink); err != nil {
		if errors.Is(err, context.Canceled) {
			p.Err = err
			return p
		}
		p.Err = fmt.Errorf("%s is written, but it is not in Ollama: %w; then: ollama create %s -f %s", w.Path, err, q.Ollama, p.Modelfile)
		return p
	}
	p.Name = q.Ollama
	return p
}

// writeModelfile writes it beside the file at path. Where the output's name was found and not given, so is the Modelfile's.
func (q Request) writeModelfile(path string) (string, error) {
	name := modelfilePath(path)
	for n := 2; !q.Force; n++ {
		if _, err := os.Lstat(name); errors.Is(err, os.ErrNotExist) {
			break
		}
		if q.Output != "" || n > 999 {
			return "", fmt.Errorf("%w: %s; move it away", gguf.ErrExists, name)
		}
		name = fmt.Sprintf("%s-%d.Modelfile", strings.TrimSuffix(modelfilePath(path), ".Modelfile"), n)
	}
	text := ollama.Modelfile(name, path, q.parent())
	if err := outfile.WriteFile(name, []byte(text), q.Force); err != nil {
		return "", outfile.Plain(err)
	}
	return name, nil
}

// create gives the written file to Ollama.
func (q Request) create(ctx context.Context, w gguf.Written, sink progress.Sink) error {
	server, err := ollama.Connect(ctx)
	if err != nil {
		return err
	}
	bar := sink.Start("create "+q.Ollama+" in Ollama", w.Bytes)
	defer bar.Stop()
	sent := int64(0)
	err = server.Create(ctx, ollama.NewModel{
		Name: q.Ollama, File: w.Path, SHA256: w.SHA256, Parent: q.parent(), Force: q.Force,
	}, func(done int64, note string) {
		sent = max(sent, done)
		bar.Set(sent, note)
	})
	if err != nil || q.parent() != nil {
		return err
	}
	if bare, err := server.NoTemplate(ctx, q.Ollama); err == nil && bare {
		sink.Warnf("Ollama does not recognise the model's chat template: chats reach the model without one; write TEMPLATE into the Modelfile and run ollama create again")
	}
	return nil
}
