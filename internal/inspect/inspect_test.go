package inspect

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/engine/enginetest"
	"github.com/ggufprune/ggufprune/gguf"
	"github.com/ggufprune/ggufprune/gguf/gguftest"
	"github.com/ggufprune/ggufprune/internal/source"
	"github.com/ggufprune/ggufprune/layout"
)

const tinyModel = "../../testdata/tiny-11m-Q8_0.gguf"

func spec(e enginetest.Runtime) source.Spec {
	return source.Spec{Engine: e, Path: tinyModel, FlashAttn: "auto"}
}

// What is told of a model is what its file has.
func TestRun(t *testing.T) {
	t.Parallel()
	in, err := Run(t.Context(), spec(enginetest.Runtime{}), Query{Kind: layout.Auto})
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(tinyModel)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(data)
	f, err := gguf.Open(tinyModel)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if in.Facts.SHA256 != hex.EncodeToString(sum[:]) || in.Facts.Params != f.Params() || in.Facts.Bytes != int64(len(data)) || in.Facts.LlamaCpp != "LLAMA" {
		t.Errorf("facts %+v", in.Facts)
	}
	if name, _, _ := f.Str("general.name"); in.Name != name || in.Context != 512 || in.Vocabulary != 64 || in.Reason != "" {
		t.Errorf("%+v", in)
	}
	if len(in.Blocks) != in.Facts.Blocks || len(in.Blocks) != 2*in.Facts.Layers {
		t.Errorf("%d blocks of %d layers", len(in.Blocks), in.Facts.Layers)
	}
	// What is no block's is the embedding's, the head's and the last norm's.
	var inBlocks, others uint64
	for _, b := range in.Blocks {
		inBlocks += b.Params
	}
	for _, x := range f.Tensors() {
		if !strings.HasPrefix(x.Name, "blk.") {
			others += x.Elements()
		}
	}
	if inBlocks+others != f.Params() {
		t.Errorf("blocks have %d, all others %d, the file %d parameters", inBlocks, others, f.Params())
	}
}

// The layouts are those that the written files would have, of the size that they would have.
func TestLayouts(t *testing.T) {
	t.Parallel()
	mask, err := blockmask.Parse("attn:1,ffn:1,ffn:4")
	if err != nil {
		t.Fatal(err)
	}
	in, err := Run(t.Context(), spec(enginetest.Runtime{}), Query{Mask: mask, Kind: layout.Auto})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]layout.Kind{"the mask": layout.Deci, "a whole layer": layout.Native, "one attention": layout.Deci, "one FFN": layout.Deci}
	if len(in.Layouts) != len(want) {
		t.Fatalf("%+v", in.Layouts)
	}
	for _, l := range in.Layouts {
		if l.Kind != want[l.Case] || l.Refused != "" || l.Mask.Len() == 0 || l.Bytes <= 0 || l.Bytes >= in.Facts.Bytes {
			t.Errorf("%+v", l)
		}
	}
	if !in.Layouts[0].Mask.Equal(mask) {
		t.Errorf("the mask is %s", in.Layouts[0].Mask)
	}
	// What a layout cannot hold is refused with the reason, and is no error.
	in, err = Run(t.Context(), spec(enginetest.Runtime{}), Query{Mask: mask, Kind: layout.Native})
	if err != nil || in.Layouts[0].Kind != "" || in.Layouts[0].Refused == "" || in.Layouts[1].Kind != layout.Native {
		t.Errorf("%+v, %v", in.Layouts, err)
	}
	// A mask of blocks that the model has not is one.
	if _, err := Run(t.Context(), spec(enginetest.Runtime{}), Query{Mask: blockmask.New(blockmask.Block{Layer: 99})}); err == nil || !strings.Contains(err.Error(), "attn:99") {
		t.Errorf("attn:99: %v", err)
	}
}

// closed is a model whose blocks cannot be found.
type closed struct {
	engine.Model
	err error
}

func (m closed) NewSession(context.Context, engine.SessionParams) (engine.Session, error) {
	return nil, m.err
}

// A graph that is not understood is told, and what the file says all the same. Another failure is an error.
func TestUnsupported(t *testing.T) {
	t.Parallel()
	run := func(failure error) (*Inspection, error) {
		e := enginetest.Runtime{Wrap: func(_ string, m engine.Model) engine.Model { return closed{m, failure} }}
		return Run(t.Context(), spec(e), Query{})
	}
	in, err := run(&engine.Error{Code: engine.UnsupportedArch, Op: "new session", Text: "it is a riddle"})
	if err != nil || in.Reason != "it is a riddle" || in.Facts.SHA256 == "" || in.Facts.Params == 0 || len(in.Blocks) != 0 || len(in.Layouts) != 0 {
		t.Errorf("%+v, %v", in, err)
	}
	var e *engine.Error
	if _, err := run(&engine.Error{Code: engine.OOM, Op: "new session", Text: "full"}); !errors.As(err, &e) || e.Code != engine.OOM {
		t.Errorf("no memory: %v", err)
	}
}

// An encoder is refused before it is loaded.
func TestEncoder(t *testing.T) {
	t.Parallel()
	path := gguftest.Write(t, t.TempDir(), "bert.gguf", gguftest.Model{KVs: []gguftest.KV{
		{Key: "general.architecture", Value: "bert"}, {Key: "bert.attention.causal", Value: false},
	}})
	s := spec(enginetest.Runtime{OnLoad: func(string) error { return errors.New("loaded in vain") }})
	s.Path = path
	var unsupported *source.UnsupportedError
	if _, err := Run(t.Context(), s, Query{}); !errors.As(err, &unsupported) || !strings.Contains(err.Error(), filepath.Base(path)) {
		t.Errorf("%v", err)
	}
}
