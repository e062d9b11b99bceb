package repairbench

import (
	"context"
	"fmt"
	"os"
	"strings"
)

// dense judges whole models: the rivals of pruned ones.
func dense(ctx context.Context, r *rig) error {
	for _, path := range strings.Split(r.models, ",") {
		o, err := r.open(ctx, path)
		if err != nil {
			return err
		}
		got, err := o.judge(ctx, nil)
		o.close()
		if err != nil {
			return err
		}
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		fmt.Printf("%s: %d bytes, %.3f / %.3f\n", path, info.Size(), got.instruct, got.other)
	}
	return nil
}
