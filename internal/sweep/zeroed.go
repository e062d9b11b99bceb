package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"regexp"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/gguf"
	"github.com/ggufprune/ggufprune/llamabind"
)

// outputs matches the last tensors of a block: what they give is all that a block adds to the stream.
var outputs = regexp.MustCompile(`^blk\.\d+\.(attn_output|attn_out|ssm_out|ssm_output|shortconv\.out_proj|time_mix_output|` +
	`ffn_down|ffn_down_exps|ffn_down_shexp|ffn_down_chexps|channel_mix_value|ffn_post_norm[_0-9]*|attn_post_norm|post_attention_norm|post_ffw_norm[_0-9]*)\.(weight|bias)$`)

// zeroed is a copy of a model file in which the output projections of a mask can be zeroed. It is the route that does not
// depend on any graph edit.
type zeroed struct {
	path    string
	file    *os.File
	model   *gguf.File
	weights func(blockmask.Block) []string
	params  engine.ModelParams
}

func newZeroed(src, path string, s *llamabind.Session) (*zeroed, error) {
	in, err := os.ReadFile(src)
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(path, in, 0o600); err != nil {
		return nil, err
	}
	z := &zeroed{path: path, weights: s.Weights, params: engine.ModelParams{NoMmap: true}}
	if z.model, err = gguf.Open(src); err != nil {
		return nil, err
	}
	z.file, err = os.OpenFile(path, os.O_RDWR, 0)
	return z, err
}

func (z *zeroed) close() {
	z.file.Close()
	z.model.Close()
	os.Remove(z.path)
}

// logits runs the file with the mask's output projections zeroed, unedited.
func (z *zeroed) logits(ctx context.Context, mask blockmask.Mask, batch []engine.Sequence) ([]float32, error) {
	for _, b := range mask.Blocks() {
		if err := z.patch(b, true); err != nil {
			return nil, err
		}
	}
	m, err := llamabind.LoadModel(ctx, z.path, z.params)
	for _, b := range mask.Blocks() {
		if err := z.patch(b, false); err != nil {
			return nil, err
		}
	}
	if err != nil {
		return nil, err
	}
	defer m.Close()
	s, err := m.NewSession(ctx, engine.SessionParams{NSeq: sweepSeqs, SeqLen: sweepLen, Unedited: true})
	if err != nil {
		return nil, err
	}
	defer s.Close()
	return collectLogits(ctx, s, batch, nil)
}

// patch zeroes the output tensors of b in the copy, or puts them back.
func (z *zeroed) patch(b blockmask.Block, zero bool) error {
	found := false
	for _, name := range z.outputsOf(b) {
		t, ok := z.model.Tensor(name)
		if !ok {
			continue
		}
		found = true
		data := z.model.Data(t)
		buf := make([]byte, t.Size)
		if !zero {
			if _, err := io.ReadFull(data, buf); err != nil {
				return err
			}
		}
		_, off, _ := data.Outer()
		if _, err := z.file.WriteAt(buf, off); err != nil {
			return err
		}
	}
	if !found {
		return fmt.Errorf("no output projection is known for %s, which has %q", b, z.weights(b))
	}
	return nil
}

// outputsOf are the output tensors among the weights of b, and the biases of its post-norms, which are no weights.
func (z *zeroed) outputsOf(b blockmask.Block) []string {
	var names []string
	for _, w := range z.weights(b) {
		if outputs.MatchString(w) {
			names = append(names, w)
		}
	}
	norms := []string{"attn_post_norm", "post_attention_norm"}
	if b.Kind == blockmask.FFN {
		norms = []string{"ffn_post_norm", "post_ffw_norm"}
	}
	for _, n := range norms {
		names = append(names, fmt.Sprintf("blk.%d.%s.bias", b.Layer, n))
	}
	return names
}
