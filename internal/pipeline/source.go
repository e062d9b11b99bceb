package pipeline

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"sync"

	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/gguf"
	"github.com/ggufprune/ggufprune/layout"
	"github.com/ggufprune/ggufprune/llamabind"
)

// Source is the model that a job starts from: its file, and the model loaded from it.
type Source struct {
	Runtime Runtime
	File    *gguf.File
	Model   engine.Model // nil after CloseModel

	changed map[string][]byte    // weights by name that sessions run with in place of the file's
	types   map[string]gguf.Type // of tensors that the loaded model has in another type than the file
	fresh   bool                 // the model was loaded since they were set
	noise   *Noise               // of the quantiser on the whole model, once it is measured
	weighed *layout.Sizes        // of the model's blocks, once they are asked for

	hash func() (string, error)
	stop context.CancelFunc // of the hashing
}

// Open opens the model's file and loads it. What the file cannot be used for is found before the loading.
func Open(ctx context.Context, r Runtime) (*Source, error) {
	f, err := openFile(r.Path)
	if err != nil {
		return nil, r.damaged(err)
	}
	if err := checkDecoder(f); err != nil {
		f.Close()
		return nil, err
	}
	s := &Source{Runtime: r, File: f}
	// An interrupted search still wants the hash, for the plan so far: Close ends the hashing, not ctx.
	hashing, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.stop = stop
	s.hash = sync.OnceValues(func() (string, error) { return f.SHA256(hashing) })
	if err := s.loadChecked(ctx); err != nil {
		s.Close()
		return nil, err
	}
	m := s.Model
	if info := m.Info(); info.HasEncoder || !info.HasDecoder {
		s.Close()
		return nil, &UnsupportedError{fmt.Sprintf("%s: architecture %s has an encoder; only decoder models can be pruned", r.Path, info.Arch)}
	}
	return s, nil
}

// openFile opens the GGUF file, and adds the next step to the errors that have none.
func openFile(path string) (*gguf.File, error) {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("model %s does not exist; check the path given with -m", path)
	}
	f, err := gguf.Open(path)
	if errors.Is(err, gguf.ErrNotGGUF) {
		return nil, fmt.Errorf("%w; give a model in GGUF format with -m", err)
	}
	if err != nil {
		return nil, err
	}
	if err := checkNumbers(f); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// checkNumbers refuses what would trip an assertion of ggml's on one of its own threads, where no error can be made of it.
func checkNumbers(f *gguf.File) error {
	damaged := func(format string, args ...any) error {
		return fmt.Errorf("%s is damaged: %s; get or convert it again", f.Paths()[0], fmt.Sprintf(format, args...))
	}
	for _, kv := range f.KVs() {
		if !strings.HasSuffix(kv.Key, "_epsilon") {
			continue
		}
		if eps, ok, err := f.Float(kv.Key); err == nil && ok && !(eps >= 0 && eps < 1) {
			return damaged("%s is %v", kv.Key, eps)
		}
	}
	for _, t := range f.Tensors() {
		if strings.HasSuffix(t.Name, "norm.weight") && t.Type.Integer() {
			return damaged("%s has the type %s", t.Name, t.Type)
		}
	}
	return nil
}

// loadError tells an architecture that this llama.cpp does not have from other failures.
func loadError(path, arch string, err error) error {
	var e *engine.Error
	if errors.As(err, &e) && e.Code == engine.LoadFailed && strings.Contains(e.Text, "unknown model architecture") {
		return &UnsupportedError{fmt.Sprintf("%s: llama.cpp %s does not know the architecture %q; give a model that it runs", path, llamabind.LlamaTag, arch)}
	}
	return err
}

// checkDecoder refuses files whose metadata say that they hold no language model that predicts the next token.
func checkDecoder(f *gguf.File) error {
	if f.Arch() == "" {
		return &UnsupportedError{fmt.Sprintf("%s has no general.architecture; it is no model that llama.cpp runs", f.Paths()[0])}
	}
	causal, ok, err := f.Bool(f.Arch() + ".attention.causal")
	if err != nil {
		return err
	}
	if ok && !causal {
		return &UnsupportedError{fmt.Sprintf("%s: architecture %s is an encoder (attention.causal is false); only decoder models can be pruned", f.Paths()[0], f.Arch())}
	}
	return nil
}

// SHA256 returns the hash of the model's file. It is computed once, on the first call: StartHash makes that early.
func (s *Source) SHA256() (string, error) { return s.hash() }

// StartHash computes the hash in the background, where a search follows that takes longer.
func (s *Source) StartHash() { go func() { _, _ = s.hash() }() } // SHA256 returns the error

// Session opens a context that leaves blocks out.
func (s *Source) Session(ctx context.Context, nSeq, seqLen int) (engine.Session, error) {
	session, err := s.Model.NewSession(ctx, s.Runtime.session(nSeq, seqLen, false))
	if err != nil || !s.fresh {
		return session, err
	}
	s.fresh = false
	engine, ok := session.(engine.BlockRunner)
	for name, data := range s.changed {
		if !ok {
			err = errors.New("this engine cannot change weights")
		} else {
			err = errors.Join(err, engine.SetWeight(name, data))
		}
	}
	if err != nil {
		session.Close()
		return nil, err
	}
	return session, nil
}

// typeOf is the type that the loaded model has a tensor in.
func (s *Source) typeOf(name string) gguf.Type {
	if typ, ok := s.types[name]; ok {
		return typ
	}
	t, _ := s.File.Tensor(name)
	return t.Type
}

// unchange puts the file's weights back, until the model is closed.
func (s *Source) unchange(session engine.Session) error {
	for name := range s.changed {
		t, ok := s.File.Tensor(name)
		engine, can := session.(engine.BlockRunner)
		if !ok || !can {
			return fmt.Errorf("%s cannot be put back", name)
		}
		data, err := io.ReadAll(s.File.Data(t))
		if err != nil {
			return err
		}
		if err := engine.SetWeight(name, data); err != nil {
			return err
		}
	}
	return nil
}

// session returns the parameters of a context for batches of nSeq sequences of seqLen tokens.
func (r Runtime) session(nSeq, seqLen int, unedited bool) engine.SessionParams {
	return engine.SessionParams{NSeq: nSeq, SeqLen: seqLen, Threads: r.Threads, FlashAttn: r.FlashAttn, Unedited: unedited}
}

// reload loads the model again if it was closed.
func (s *Source) reload(ctx context.Context) error {
	if s.Model != nil {
		return nil
	}
	m, err := s.Runtime.load(ctx, s.Runtime.Path)
	if err != nil {
		return loadError(s.Runtime.Path, s.File.Arch(), err)
	}
	s.Model, s.fresh = m, true
	return nil
}

// unmap loads the model without mapping its file, if it is mapped: only then can its weights be changed.
func (s *Source) unmap(ctx context.Context) error {
	if s.Runtime.Model.NoMmap {
		return nil
	}
	s.CloseModel()
	s.Runtime.Model.NoMmap = true
	return s.reload(ctx)
}

// CloseModel frees the loaded model and keeps the file open, so that another model can be loaded.
func (s *Source) CloseModel() {
	if s.Model != nil {
		s.Model.Close()
		s.Model = nil
	}
}

// Close frees everything.
func (s *Source) Close() {
	if s.stop != nil {
		s.stop()
		s.hash() //nolint:errcheck // it must not read from the file any more
	}
	s.CloseModel()
	s.File.Close()
}

// LayoutBlocks returns the model's blocks as package layout takes them.
func LayoutBlocks(s engine.Session) []layout.Block {
	var out []layout.Block
	for _, b := range s.Blocks() {
		out = append(out, layout.Block{Block: b, Weights: s.Weights(b)})
	}
	return out
}

// sizes knows what each of the model's blocks holds.
func (s *Source) sizes(blocks []layout.Block) *layout.Sizes {
	if s.weighed == nil {
		s.weighed = layout.Weigh(s.File, blocks)
	}
	return s.weighed
}
