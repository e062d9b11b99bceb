// Package interrupt carries a user's wish to end from main to the search, which ends its evaluation first.
package interrupt

import (
	"context"
	"sync"
)

// Flag is how a user asks a search to end: softly first, so that the evaluation under way ends and its outcome is kept. A
// context carries it to the search.
type Flag struct {
	mu        sync.Mutex
	held      bool // a search looks at requested after every evaluation
	requested bool
}

type interruptKey struct{}

// With returns a context that carries i.
func With(ctx context.Context, i *Flag) context.Context {
	return context.WithValue(ctx, interruptKey{}, i)
}

// Request asks a search to end after its evaluation. It returns false if no search is there that would: then cancel the context.
func (i *Flag) Request() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.requested = true
	return i.held
}

// Hold says that a search of ctx looks at requests, until the returned function is called.
func Hold(ctx context.Context) (release func()) {
	i, ok := ctx.Value(interruptKey{}).(*Flag)
	if !ok {
		return func() {}
	}
	set := func(held bool) {
		i.mu.Lock()
		defer i.mu.Unlock()
		i.held = held
	}
	set(true)
	return func() { set(false) }
}

// Requested returns context.Canceled once a request was made.
func Requested(ctx context.Context) error {
	i, ok := ctx.Value(interruptKey{}).(*Flag)
	if !ok {
		return nil
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.requested {
		return context.Canceled
	}
	return nil
}
