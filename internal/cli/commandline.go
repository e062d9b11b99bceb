package cli

import "context"

type commandLineKey struct{}

// withCommandLine keeps the words of the command line, which a report repeats; args lack the program's name.
func withCommandLine(ctx context.Context, args []string) context.Context {
	return context.WithValue(ctx, commandLineKey{}, append([]string{"ggufprune"}, args...))
}

// commandLine returns what withCommandLine kept, with the program's name in front.
func commandLine(ctx context.Context) []string {
	words, _ := ctx.Value(commandLineKey{}).([]string)
	return words
}
