package llamabind

/*
#include "shim.h"
*/
import "C"

import (
	"context"
	"fmt"
	"time"
	"unsafe"

	"github.com/ggufprune/ggufprune/engine"
)

// Bench is a stock context on which speed is measured, as llama-bench does it: random tokens from an empty memory, one
// sequence. It is used by one goroutine at a time, and closed before its model.
type Bench struct {
	c      *C.bp_bench
	cancel *C.int32_t
}

// NewBench creates a context.
func (m *Model) NewBench(p engine.BenchParams) (*Bench, error) {
	const op = "open bench"
	fa, ok := flashAttn[p.FlashAttn]
	if !ok {
		return nil, &engine.Error{Code: engine.BadInput, Op: op, Text: fmt.Sprintf("flash attention %q: use auto, on or off", p.FlashAttn)}
	}
	if p.Threads <= 0 {
		p.Threads = PhysicalCores()
	}
	cp := C.bp_bench_params{
		n_ctx: C.int32_t(p.Context), n_batch: C.int32_t(p.Batch), n_ubatch: C.int32_t(p.UBatch),
		n_threads: C.int32_t(p.Threads), flash_attn: fa,
	}
	b := &Bench{}
	var cerr C.bp_err
	if err := toError(op, C.bp_bench_open(m.c, &cp, &b.c, &cerr), &cerr); err != nil {
		return nil, err
	}
	b.cancel = (*C.int32_t)(unsafe.Pointer(C.bp_bench_cancel_flag(b.c)))
	return b, nil
}

// Close frees the context.
func (b *Bench) Close() {
	if b.c != nil {
		C.bp_bench_close(b.c)
		b.c = nil
	}
}

// Prompt returns how long n tokens in batches take, of which the last one's logits are computed: llama-bench's pp.
func (b *Bench) Prompt(ctx context.Context, n int) (time.Duration, error) {
	return b.run(ctx, n, false)
}

// Generate returns how long n tokens take one after the other: llama-bench's tg.
func (b *Bench) Generate(ctx context.Context, n int) (time.Duration, error) {
	return b.run(ctx, n, true)
}

// MemoryBytes is the size of the context's memory, on all devices: KV cache, and recurrent states where the model has them.
func (b *Bench) MemoryBytes() int64 { return int64(C.bp_bench_memory(b.c)) }

func (b *Bench) run(ctx context.Context, n int, oneByOne bool) (time.Duration, error) {
	const op = "measure speed"
	if ctx.Err() != nil {
		return 0, &engine.Error{Code: engine.Cancelled, Op: op, Text: "cancelled"}
	}
	*b.cancel = 0
	stop := onCancel(ctx, b.cancel)
	var cerr C.bp_err
	var seconds C.double
	st := C.bp_bench_run(b.c, C.int32_t(n), C.bool(oneByOne), &seconds, &cerr)
	stop()
	if err := toError(op, st, &cerr); err != nil {
		return 0, err
	}
	return time.Duration(float64(seconds) * float64(time.Second)), nil
}
