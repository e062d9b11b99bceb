package pipeline

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
)

// Publication is what was made for Ollama of a written file.
type Publication struct {
	Modelfile string // its path
	Name      string // of the model that Ollama has now; "" for none
	Err       error  // why it has none although it was to have one; the file is written and checked all the same
}

// parent is what Ollama keeps with the source; nil if it is not from there.
func (j Job) parent() *modelref.Ollama {
	if j.Runtime.Ref == nil {
		return nil
	}
	return j.Runtime.Ref.Ollama
}

// wantsModelfile reports whether somebody will want to run the file in Ollama.
func (j Job) wantsModelfile() bool { return j.Ollama != "" || j.parent() != nil }

// modelfilePath is where the Modelfile of the GGUF file at path goes.
func modelfilePath(path string) string { return strings.TrimSuffix(path, ".gguf") + ".Modelfile" }

// checkModelfile finds out before the work whether the Modelfile can be written.
func (j Job) checkModelfile(inputs ...string) error {
	if !j.wantsModelfile() {
		return nil
	}
	return outfile.Check(modelfilePath(j.Output), j.Force, inputs...)
}

// checkOllama finds out before the work whether Ollama will take the model: it runs, and has none of the name.
func (j Job) checkOllama(ctx context.Context) error {
	if j.Ollama == "" {
		return nil
	}
	server, err := ollama.Connect(ctx)
	if err != nil || j.Force {
		return err
	}
	return server.CheckFree(ctx, j.Ollama)
}

// publish writes the Modelfile and gives the file to Ollama. The file itself is done: what goes wrong now takes nothing back.
func (j Job) publish(ctx context.Context, w *WriteResult, rep Reporter) *Publication {
	if !j.wantsModelfile() {
		return nil
	}
	p := new(Publication)
	if p.Modelfile, p.Err = j.writeModelfile(w.Path); p.Err != nil {
		p.Err = fmt.Errorf("%s is written, but its Modelfile is not: %w", w.Path, p.Err)
		return p
	}
	if j.Ollama == "" {
		return p
	}
	if err := j.create(ctx, w, rep); err != nil {
		if errors.Is(err, context.Canceled) {
			p.Err = err
			return p
		}
		p.Err = fmt.Errorf("%s is written, but it is not in Ollama: %w; then: ollama create %s -f %s", w.Path, err, j.Ollama, p.Modelfile)
		return p
	}
	p.Name = j.Ollama
	return p
}

// writeModelfile writes it beside the file at path. Where the output's name was found and not given, so is the Modelfile's.
func (j Job) writeModelfile(path string) (string, error) {
	name := modelfilePath(path)
	for n := 2; !j.Force; n++ {
		if _, err := os.Lstat(name); errors.Is(err, os.ErrNotExist) {
			break
		}
		if j.Output != "" || n > 999 {
			return "", fmt.Errorf("%w: %s; move it away", gguf.ErrExists, name)
		}
		name = fmt.Sprintf("%s-%d.Modelfile", strings.TrimSuffix(modelfilePath(path), ".Modelfile"), n)
	}
	text := ollama.Modelfile(name, path, j.parent())
	if err := outfile.WriteFile(name, []byte(text), j.Force); err != nil {
		return "", outfile.Plain(err)
	}
	return name, nil
}

// create gives the written file to Ollama.
func (j Job) create(ctx context.Context, w *WriteResult, rep Reporter) error {
	server, err := ollama.Connect(ctx)
	if err != nil {
		return err
	}
	progress := rep.Start("create "+j.Ollama+" in Ollama", w.Bytes)
	defer progress.Stop()
	sent := int64(0)
	err = server.Create(ctx, ollama.NewModel{
		Name: j.Ollama, File: w.Path, SHA256: w.SHA256, Parent: j.parent(), Force: j.Force,
	}, func(done int64, note string) {
		sent = max(sent, done)
		progress.Set(sent, note)
	})
	if err != nil || j.parent() != nil {
		return err
	}
	if bare, err := server.NoTemplate(ctx, j.Ollama); err == nil && bare {
		rep.Warnf("Ollama does not recognise the model's chat template: chats reach the model without one; write TEMPLATE into the Modelfile and run ollama create again")
	}
	return nil
}
