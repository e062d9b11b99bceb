package realbench

import (
	"context"
	"fmt"
	"os"
)

// Run measures; args are the flags.
func Run(ctx context.Context, args []string) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	b, err := o.open()
	if err != nil {
		return err
	}
	defer b.close()
	steps := map[string]func(context.Context) error{
		"prune": b.makeAll, "ppl": b.perplexities, "kld": b.divergences, "tasks": b.accuracies, "speed": b.speeds,
		"table": b.printTable, "plot": b.plot,
	}
	for _, part := range o.parts {
		fmt.Fprintf(os.Stderr, "# %s\n", part)
		if err := steps[part](ctx); err != nil {
			return err
		}
	}
	if len(b.failed) > 0 {
		return fmt.Errorf("%d things failed, see above; run it again to do only these", len(b.failed))
	}
	return nil
}
