//go:build cgo

package quantproc

import (
	"bytes"
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/llamabind"
)

const tiny = "../../testdata/tiny-11m-Q8_0.gguf"

func TestMain(m *testing.M) {
	if code, child := Dispatch(llamabind.Runtime{}); child {
		os.Exit(code)
	}
	os.Exit(m.Run())
}

// request asks for a pure file of a type.
func request(t *testing.T, typ string) Request {
	t.Helper()
	q := Request{In: tiny, Out: filepath.Join(t.TempDir(), "out.gguf")}
	q.Params = engine.QuantizeParams{Threads: 2, AllowRequantize: true, Pure: true}
	var err error
	if q.Params.Type, err = llamabind.ParseFileType(typ); err != nil {
		t.Fatal(err)
	}
	return q
}

// The child writes what this process writes, and reports every tensor.
func TestRun(t *testing.T) {
	q := request(t, "Q4_0")
	calls, total := 0, 0
	if err := Run(t.Context(), llamabind.Runtime{}, q, func(_, n int, _ string) { calls, total = calls+1, n }); err != nil {
		t.Fatal(err)
	}
	if calls == 0 || calls != total {
		t.Errorf("%d tensors of %d were reported", calls, total)
	}
	here := filepath.Join(t.TempDir(), "here.gguf")
	if err := llamabind.QuantizeModel(t.Context(), q.In, here, q.Params, nil); err != nil {
		t.Fatal(err)
	}
	a, errA := os.ReadFile(q.Out)
	b, errB := os.ReadFile(here)
	if errA != nil || errB != nil || !bytes.Equal(a, b) {
		t.Errorf("the files differ: %d bytes, %v; %d bytes, %v", len(a), errA, len(b), errB)
	}
}

// An assertion of ggml ends the child only, and is one line.
func TestAssertion(t *testing.T) {
	q := request(t, "IQ2_XXS")
	q.Params.IMatrix = map[string][]float32{}
	for i := range 12 { // for all but the embeddings, of which llama.cpp believes that they need none
		for name, n := range map[string]int{"attn_q": 256, "attn_k": 256, "attn_v": 256, "attn_output": 256, "ffn_gate": 256, "ffn_up": 256, "ffn_down": 768} {
			q.Params.IMatrix[fmt.Sprintf("blk.%d.%s.weight", i, name)] = make([]float32, n)
		}
	}
	err := Run(t.Context(), llamabind.Runtime{}, q, nil)
	var e *engine.Error
	if !errors.As(err, &e) || !strings.Contains(err.Error(), "GGML_ASSERT(") || strings.Contains(err.Error(), "\n") {
		t.Errorf("%v", err)
	}
}

// What llama.cpp refuses comes back with its code.
func TestRefused(t *testing.T) {
	q := request(t, "Q4_0")
	q.Params.AllowRequantize = false
	var e *engine.Error
	if err := Run(t.Context(), llamabind.Runtime{}, q, nil); !errors.As(err, &e) || e.Code != engine.LoadFailed || !strings.Contains(e.Text, "requantizing") {
		t.Errorf("%v", err)
	}
}

// A cancelled run ends within a tensor.
func TestCancel(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var at time.Time
	err := Run(ctx, llamabind.Runtime{}, request(t, "Q5_1"), func(i, _ int, _ string) {
		if i == 2 {
			at = time.Now()
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) || time.Since(at) > 5*time.Second {
		t.Errorf("%v after %v", err, time.Since(at))
	}
}

// When the parent is gone, its pipe ends: the child removes what it wrote and ends, too.
func TestParentDies(t *testing.T) {
	q := request(t, "Q5_1")
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	cmd, _ := command(t.Context(), write)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	write.Close()
	if err := gob.NewEncoder(stdin).Encode(q); err != nil {
		t.Fatal(err)
	}
	if _, ended := follow(read, func(i, _ int, _ string) {
		if i == 3 {
			stdin.Close()
		}
	}); ended {
		t.Fatal("the child went on to the end")
	}
	if err := cmd.Wait(); err == nil {
		t.Error("the child succeeded")
	}
	if _, err := os.Stat(q.Out); !os.IsNotExist(err) {
		t.Errorf("its file: %v", err)
	}
}

// A child that dies of something else says so.
func TestDied(t *testing.T) {
	if err := died(errors.New("signal: killed"), ""); !strings.Contains(err.Error(), "died: signal: killed") {
		t.Error(err)
	}
}
