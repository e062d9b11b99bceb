package strategy

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/internal/journal"
	"github.com/ggufprune/ggufprune/search"
	"github.com/ggufprune/ggufprune/search/searchtest"
)

const killEnv = "GGUFPRUNE_TEST_JOURNAL"

// TestMain turns the test program into the victim of the kill test when the environment asks for it.
func TestMain(m *testing.M) {
	path := os.Getenv(killEnv)
	if path == "" {
		os.Exit(m.Run())
	}
	if err := victim(path); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// slow takes its time for every batch, so that there is something to kill.
type slow struct{ searchtest.Texts }

func (s *slow) Losses(ctx context.Context, batch []int, removed blockmask.Mask, candidates []blockmask.Mask, base bool,
	got func(i int, losses []float64) error,
) error {
	return s.Texts.Losses(ctx, batch, removed, candidates, base, func(i int, losses []float64) error {
		time.Sleep(time.Millisecond)
		return got(i, losses)
	})
}

// victim searches with the journal at path and writes the result next to it.
func victim(path string) error {
	model := searchtest.PlainModel(6)
	j, err := journal.Open[search.Measurement](path, someHeader(), journal.Owner{})
	if err != nil {
		return err
	}
	defer j.Close()
	src := &slow{*journalTexts()}
	r, err := search.Run(context.Background(), NewFast(search.NewLedger(src, searchtest.PlainCost(model), j, ""), 9), model, blockmask.Mix, search.Goal{Blocks: 6}, nil)
	if err != nil {
		return err
	}
	data, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return os.WriteFile(path+".result", data, 0o600)
}

// SIGKILL at random moments, as often as it takes: the result is that of a search that nobody disturbed.
func TestKilledSearchesEndTheSame(t *testing.T) {
	t.Parallel()
	child := func(path string) *exec.Cmd {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), killEnv+"="+path)
		return cmd
	}
	calm := filepath.Join(t.TempDir(), "plan.journal")
	begin := time.Now()
	if out, err := child(calm).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	took := time.Since(begin)
	want, err := os.ReadFile(calm + ".result")
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 1))
	kills := 0
	for range 5 {
		path := filepath.Join(t.TempDir(), "plan.journal")
		for range 4 {
			cmd := child(path)
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Duration(rng.Float64() * 0.6 * float64(took)))
			if err := cmd.Process.Kill(); err == nil {
				kills++
			}
			_ = cmd.Wait() // killed, or ended before
		}
		if out, err := child(path).CombinedOutput(); err != nil {
			t.Fatalf("after kills: %v: %s", err, out)
		}
		got, err := os.ReadFile(path + ".result")
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), string(got)); diff != "" {
			t.Fatalf("-undisturbed +killed\n%s", diff)
		}
	}
	if kills < 10 {
		t.Errorf("only %d of 20 kills hit a running search of %v", kills, took)
	}
}
