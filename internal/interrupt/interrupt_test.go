package interrupt

import (
	"context"
	"errors"
	"testing"
)

// A request is heard by a search that holds, and only by one.
func TestInterrupt(t *testing.T) {
	t.Parallel()
	i := new(Flag)
	ctx := With(context.Background(), i)
	if err := Requested(ctx); err != nil {
		t.Fatal(err)
	}
	release := Hold(ctx)
	if !i.Request() {
		t.Error("the search that holds is not there")
	}
	if err := Requested(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("after a request: %v", err)
	}
	release()
	if i.Request() {
		t.Error("nobody holds")
	}
	if err := Requested(context.Background()); err != nil {
		t.Error(err)
	}
	Hold(context.Background())()
}
