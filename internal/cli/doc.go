// Package cli is the command line: the list of the commands, how one is found and run, and what is made from their flags, which are
// the one source of help, completions and the manual page.
//
//	cli           the list of commands, dispatch, errors and exit codes; help, completions, the manual page
//	cli/commands  a file for each command: constructor, options, run
//	cli/flags     the groups of flags that commands share, and what is read from a flag
//	cli/render    what a result looks like: tables, lines and the object of --json
//
// The arrows go cli -> commands -> flags, and commands -> render; render and flags know nothing of each other. The work is done by
// the jobs, each a package. Results go to standard output, everything else to standard error; with --json standard output holds one
// object that docs/CLI_JSON.md documents.
package cli
