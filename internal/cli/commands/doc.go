// Package commands has a file for each command: its constructor with what help says of it, its options, which add their flags, and
// one run, which checks them, calls the job and has its result printed. What several commands share in flags is in package flags;
// printing is in package render; package cli lists the commands.
package commands
