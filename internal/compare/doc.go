// Package compare sets models side by side: how far what they predict is from a reference, their size, their speed, and a quantisation
// of the original that is as small. That one is the user's, made of the original, or found on this machine: see [Rival].
package compare
