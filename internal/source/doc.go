// Package source is the model that a job starts from: which file it is and how it is to run ([Spec]), and the file opened and the
// model loaded ([Source]). What a file cannot be used for is found here, before a job begins.
package source
