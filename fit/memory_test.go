package fit

import (
	"math/rand/v2"
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"testing"
	"time"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas32"
)

// heapGrowth is by how many bytes the heap grows at most while f runs, looked at every millisecond.
func heapGrowth(f func()) int64 {
	held := func() int64 {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	runtime.GC()
	before := held()
	var peak atomic.Int64
	stop, stopped := make(chan bool), make(chan bool)
	go func() {
		defer close(stopped)
		for {
			peak.Store(max(peak.Load(), held()))
			select {
			case <-stop:
				return
			case <-time.After(time.Millisecond):
			}
		}
	}()
	f()
	close(stop)
	<-stopped
	return peak.Load() - before
}

// Choosing an FFN's channels, fitting and rounding them takes no more than CutBytes says, and not much less, by gonum and on an engine. This test
// runs alone, as it watches the heap.
func TestCutBytes(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(collectAt))
	for k, onEngine := range map[int]bool{1024: false, blockedFrom: true} {
		const n = 64
		d, keep := k/8, k*3/4
		rng := rand.New(rand.NewPCG(1, 2))
		draw := func(n int) []float32 {
			out := make([]float32, n)
			for i := range out {
				out[i] = float32(rng.NormFloat64())
			}
			return out
		}
		p := &part{Projection: &Projection{In: k, Out: d, Weights: draw(k * d)}}
		features, targets := draw(4*n*k), draw(4*n*d)
		const rows = 128
		result := make([]float32, rows*k) // an engine has it elsewhere
		mul := func(n int, a, b []float32, acc []float64) error {
			ka, kb := len(a)/n, len(b)/n
			for i := 0; i < ka; i += rows {
				m := min(rows, ka-i)
				blas32.Gemm(blas.Trans, blas.NoTrans, 1, blas32.General{Rows: n, Cols: m, Stride: ka, Data: a[i:]},
					blas32.General{Rows: n, Cols: kb, Stride: kb, Data: b}, 0, blas32.General{Rows: m, Cols: kb, Stride: kb, Data: result})
				for j, v := range result[:m*kb] {
					acc[i*kb+j] += float64(v)
				}
			}
			return nil
		}
		grown := heapGrowth(func() {
			q := &dense{k: k, d: d, fit: newNormal(k, d), held: newNormal(k, d), fitOnly: true}
			for i, eq := range []*normal{q.fit, q.fit, q.fit, q.held} {
				eq.n += n
				f, y := features[i*n*k:(i+1)*n*k], targets[i*n*d:(i+1)*n*d]
				if mul(n, f, f, eq.g) != nil || mul(n, f, y, eq.c) != nil {
					t.Fatal("the product failed")
				}
				eq.energy += square(y)
				if onEngine {
					eq.mul = mul
				}
			}
			kept, err := q.fit.selectChannels(keep)
			if err != nil {
				t.Fatal(err)
			}
			q = q.of(kept)
			_, lambda, _, err := q.fitKept(p, kept, trialLambdas)
			if err != nil {
				t.Fatal(err)
			}
			s := &state{w: coarse{}}
			if _, err := s.rounded(&Projection{In: keep, Out: d}, p.Weights[:keep*d], make([]float32, keep), q.fit, lambda); err != nil {
				t.Fatal(err)
			}
		})
		told := CutBytes(k, d)
		t.Logf("%d channels: %.2f matrices of k x k doubles, CutBytes says %.2f", k, float64(grown)/float64(8*k*k), float64(told)/float64(8*k*k))
		if grown > told || grown < told/3 {
			t.Errorf("%d channels took %d bytes, CutBytes says %d", k, grown, told)
		}
	}
}
