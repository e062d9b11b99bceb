package searchbench

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/internal/journal"
	"github.com/ggufprune/ggufprune/llamabind"
	"github.com/ggufprune/ggufprune/perplexity"
	"github.com/ggufprune/ggufprune/search"
	"github.com/ggufprune/ggufprune/search/strategy"
)

// kill ends searches by SIGKILL at random moments and resumes them, until there were as many kills as asked for. Each result must be
// that of the search that nobody disturbed, byte for byte.
func kill(ctx context.Context, r *rig) error {
	dir, err := os.MkdirTemp("", "searchbench-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	calm := filepath.Join(dir, "calm")
	begin := time.Now()
	if err := child(ctx, r, calm).Run(); err != nil {
		return fmt.Errorf("undisturbed search: %w", err)
	}
	took := time.Since(begin)
	want, err := os.ReadFile(calm + ".result")
	if err != nil {
		return err
	}
	rng := rand.New(rand.NewPCG(1, 50))
	kills, resumed, searches := 0, 0, 0
	for kills < r.kills {
		path := filepath.Join(dir, strconv.Itoa(searches))
		searches++
		inThis := 0
		for range 5 {
			if kills+inThis == r.kills {
				break
			}
			cmd := child(ctx, r, path)
			if err := cmd.Start(); err != nil {
				return err
			}
			time.Sleep(time.Duration(rng.Float64() * 0.7 * float64(took)))
			if cmd.Process.Kill() == nil {
				inThis++
			}
			_ = cmd.Wait() // killed, or ended before
		}
		if err := child(ctx, r, path).Run(); err != nil {
			return fmt.Errorf("search %d, after %d kills: %w", searches, inThis, err)
		}
		got, err := os.ReadFile(path + ".result")
		if err != nil {
			return err
		}
		kills += inThis
		if string(got) == string(want) {
			resumed += inThis
		} else {
			fmt.Printf("search %d ended otherwise after %d kills\n", searches, inThis)
		}
		fmt.Printf("  %d of %d kills, %d resumed to the same result\n", kills, r.kills, resumed)
	}
	fmt.Printf("%d kills in %d searches of %.1f s: %d resumed to the same result\n", kills, searches, took.Seconds(), resumed)
	r.figure("kill_resumes_ok", float64(resumed))
	r.figure("kill_resumes_total", float64(kills))
	return nil
}

func child(ctx context.Context, r *rig, path string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, os.Args[0], "search", "-victim", path, "-model", r.options.model, "-calib", r.options.calib,
		"-heldout", r.options.heldOut, "-t", strconv.Itoa(r.threads))
	cmd.Stderr = os.Stderr
	return cmd
}

// victim searches on few sequences with the journal, and writes its result beside it.
func victim(ctx context.Context, r *rig) error {
	r.heads[perplexity.NLL] = 3 // not measured: it is in the costs, and these are in the result
	j, err := journal.Open[search.Measurement](r.journal, journal.Header{Tool: "searchbench", LlamaCpp: llamabind.LlamaTag, Config: json.RawMessage("{}")}, journal.Owner{Job: "search", File: "journal"})
	if err != nil {
		return err
	}
	defer j.Close()
	l, err := r.ledger(ctx, perplexity.NLL, 16, 1, j)
	if err != nil {
		return err
	}
	res, err := search.Run(ctx, strategy.NewFast(l, 1), r.searchModel(), blockmask.Mix, search.Goal{Blocks: 4}, nil)
	if err != nil {
		return err
	}
	data, err := json.Marshal(res)
	if err != nil {
		return err
	}
	return os.WriteFile(r.journal+".result", data, 0o600)
}
