// Package outfile writes the program's output files. Under the name that the user gave, a file is complete or not there.
//
//	Check        before the work: can path become an output?
//	Create       .NAME.1a2b3c4d.tmp in the same folder, with room for the file
//	Write        by the caller, or by another program that opens Path by name
//	Finish       fsync, close: complete, and ready to be looked at
//	Commit       rename, without replacing anything unless forced; fsync of the folder
//	Discard      at any moment before Commit: the temporary file goes
//
// Small files take one call, [WriteFile]. A file that lives no longer than the process comes from [Unnamed].
//
// The caller defers Discard. A signal cancels the caller's context, the caller returns, and the temporary file goes with it. Only a kill
// leaves one behind, and its name says what it is.
//
// Everything goes through an [FS], so that tests can fill its disk and fail its calls (package outfiletest).
package outfile
