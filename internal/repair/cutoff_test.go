package repair

import (
	"encoding/binary"
	"errors"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/engine/enginetest"
	"github.com/ggufprune/ggufprune/gguf"
	"github.com/ggufprune/ggufprune/gguf/gguftest"
	"github.com/ggufprune/ggufprune/internal/repairlog"
	"github.com/ggufprune/ggufprune/layout"
)

// channels is a mask of one FFN that keeps some channels.
func channels(t *testing.T, layer int, kept string) blockmask.Mask {
	t.Helper()
	x, err := blockmask.ParseIndices(kept)
	if err != nil {
		t.Fatal(err)
	}
	return blockmask.Of(blockmask.Cut{Block: blockmask.Block{Layer: layer, Kind: blockmask.FFN}, Channels: x})
}

// A repair that leads to no file keeps nothing, so a file in the way of its log does not matter.
func TestTrialKeepsNothing(t *testing.T) {
	t.Parallel()
	q := request(t, "ffn:3")
	q.Trial = true
	path, _ := repairlog.Paths(q.Output)
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, _, _, err := run(t.Context(), t, ready(nil), q); !errors.Is(err, errBroken) {
		t.Error(err)
	}
}

// Where channels go the fit is not only the usual, and experts and channels without a choice are refused.
func TestChannelsAreRefused(t *testing.T) {
	t.Parallel()
	experts := channels(t, 3, "0-31")
	experts[0].Experts = experts[0].Channels
	ffn := blockmask.Block{Layer: 3, Kind: blockmask.FFN}
	for want, change := range map[string]func(q *Request){
		errBroken.Error():      func(q *Request) { q.Removed, q.Options.Usual = channels(t, 3, "0-31"), true },
		"cannot be fitted yet": func(q *Request) { q.Removed = experts },
		"cannot be chosen":     func(q *Request) { q.Widths, q.Options.Method = map[blockmask.Block]int{ffn: 32}, "" },
	} {
		q := request(t, "")
		change(&q)
		if done, _, _, err := run(t.Context(), t, ready(nil), q); err == nil || done != nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// What is cut off is zero in the model and missing in the file; what stays is what it was.
func TestCutOff(t *testing.T) {
	t.Parallel()
	const in, out, name = 5, 3, "blk.3.ffn_down.weight"
	var data []byte
	for i := range in * out {
		data = binary.LittleEndian.AppendUint32(data, math.Float32bits(float32(1+i)))
	}
	f, err := gguf.Open(gguftest.Write(t, t.TempDir(), "m.gguf", gguftest.Model{
		KVs:     gguftest.KVs("general.architecture", "llama"),
		Tensors: []gguftest.Tensor{{Name: name, Type: uint32(gguf.F32), Dims: []uint64{in, out}, Data: data}},
	}))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	codec := enginetest.Runtime{}
	ffn := layout.Block{Block: blockmask.Block{Layer: 3, Kind: blockmask.FFN}, Weights: []string{name}}
	p := NewProjections(codec, f, []layout.Block{ffn})
	n, full, err := p.cut(channels(t, 3, "1,3-4")[0])
	if err != nil || n.Tensor != name {
		t.Fatalf("%s, %v", n.Tensor, err)
	}
	model, file := make([]float32, in*out), make([]float32, 3*out)
	if err := errors.Join(codec.ToFloat(uint32(gguf.F32), full, model), codec.ToFloat(uint32(gguf.F32), n.Data, file)); err != nil {
		t.Fatal(err)
	}
	if want := []float32{0, 2, 0, 4, 5, 0, 7, 0, 9, 10, 0, 12, 0, 14, 15}; !slices.Equal(model, want) {
		t.Errorf("the model has %v, want %v", model, want)
	}
	if want := []float32{2, 4, 5, 7, 9, 10, 12, 14, 15}; !slices.Equal(file, want) {
		t.Errorf("the file has %v, want %v", file, want)
	}
	if _, _, err := p.cut(channels(t, 3, "1,5")[0]); err == nil || !strings.Contains(err.Error(), "ffn:3 cannot lose channels: it is to keep channel 5, and has 5") {
		t.Error(err)
	}
	if _, _, err := p.cut(channels(t, 2, "1")[0]); err == nil || !strings.Contains(err.Error(), "it has no output projection") {
		t.Error(err)
	}
}
