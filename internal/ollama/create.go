package ollama

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/ollama/ollama/api"

	"github.com/ggufprune/ggufprune/internal/modelref"
)

// NewModel is what Create makes.
type NewModel struct {
	Name   string
	File   string           // the GGUF file
	SHA256 string           // of its bytes, in hexadecimal
	Parent *modelref.Ollama // whose template, parameters and so on it gets; nil for none
	Force  bool             // replace a model of this name
}

// Progress is told how many of the file's bytes have been sent.
type Progress func(done int64, note string)

// ErrExists says that Ollama has a model of the name already.
var ErrExists = errors.New("there is already an Ollama model")

// CheckFree returns an error that matches ErrExists if the server has a model of this name.
func (s *Server) CheckFree(ctx context.Context, name string) error {
	has, err := s.Has(ctx, name)
	if err == nil && has {
		err = fmt.Errorf("%w %s; choose another name, or replace it with --force", ErrExists, name)
	}
	return err
}

// Create sends the file to the server and makes a model of it. The server may be another machine. It checks the digest.
func (s *Server) Create(ctx context.Context, m NewModel, progress Progress) error {
	if !m.Force {
		if err := s.CheckFree(ctx, m.Name); err != nil {
			return err
		}
	}
	req := &api.CreateRequest{Model: m.Name, Files: map[string]string{}}
	if err := s.upload(ctx, req, m.File, m.SHA256, progress); err != nil {
		return err
	}
	if p := m.Parent; p != nil {
		req.Template, req.System, req.Parameters, req.Renderer, req.Parser = p.Template, p.System, p.Parameters, p.Renderer, p.Parser
		if len(p.Licenses) > 0 {
			req.License = p.Licenses
		}
		for _, msg := range p.Messages {
			req.Messages = append(req.Messages, api.Message{Role: msg.Role, Content: msg.Content})
		}
		for _, path := range p.Projectors {
			digest := strings.TrimPrefix(filepath.Base(path), "sha256-") // that is how Ollama names its blobs
			if err := s.upload(ctx, req, path, digest, func(int64, string) {}); err != nil {
				return err
			}
		}
	}
	err := s.client.Create(ctx, req, func(r api.ProgressResponse) error {
		progress(-1, r.Status)
		return nil
	})
	if err != nil {
		return s.failed("asked to create "+m.Name, err)
	}
	return nil
}

// upload sends a file, unless the server has it, and lists it in req.
func (s *Server) upload(ctx context.Context, req *api.CreateRequest, path, sha string, progress Progress) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	digest := "sha256:" + sha
	if err := s.client.CreateBlob(ctx, digest, &counter{r: f, progress: progress}); err != nil {
		return s.failed("sent "+filepath.Base(path), err)
	}
	req.Files[filepath.Base(path)] = digest
	return nil
}

// counter tells how far it has been read.
type counter struct {
	r        io.Reader
	n        int64
	progress Progress
}

func (c *counter) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.n += int64(n)
	c.progress(c.n, "send to Ollama")
	return n, err
}

// NoTemplate reports whether the server found no template for the model: what it is told in a chat then goes to it as it is.
func (s *Server) NoTemplate(ctx context.Context, name string) (bool, error) {
	r, err := s.client.Show(ctx, &api.ShowRequest{Model: name})
	if err != nil {
		return false, s.failed("asked for model "+name, err)
	}
	return strings.TrimSpace(r.Template) == "{{ .Prompt }}", nil
}
