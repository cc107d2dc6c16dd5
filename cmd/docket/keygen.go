package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/record/draft"
)

// passwordEnv names the environment variable that opens and protects key files.
const passwordEnv = "DOCKET_PASSWORD"

// keyAlgorithms are those of new keys; keys made elsewhere may be of others.
var keyAlgorithms = []record.Algorithm{record.AlgEd25519, record.AlgECDSAP256}

func (a *app) keygen() *cobra.Command {
	var out, alg, cosigner, node string
	c := &cobra.Command{
		Use:   "keygen --out FILE",
		Short: "Make a key pair: FILE (private) and FILE.pub",
		Long: `Makes a key pair. FILE holds the private key, readable by its owner only;
FILE.pub holds the public key, which goes into an enrolment or a keys record.

The private key is protected by a password as "cosign generate-key-pair" does it:
it is asked for on a terminal, or taken from $DOCKET_PASSWORD. With neither, or
with an empty password, the key is written in the clear, and a warning says so.

--cosigner NAME makes the key by which an auditor cosigns checkpoints (docket audit
--cosign), in the form of signed notes, in the clear: NAME is the auditor's, a URL
without its scheme. FILE.pub then holds its vkey, which is printed too, and the directory
FILE.cosigned what the key has cosigned.

--node NAME makes the key by which a node signs snapshots of its register (docket serve
--node-key), in the same form; it signs nothing else, and is no key of the log.`,
		Example: `  docket keygen --out compliance.key
  docket keygen --out ci.key --alg ecdsa-p256
  docket keygen --out audit.key --cosigner vigil.example/docket --alg ml-dsa-44
  docket keygen --out node.key --node n1.ocr.example`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			// What can be refused is refused before a password is typed twice for nothing.
			var algorithm record.Algorithm
			var err error
			files := []string{out, out + ".pub"}
			if node != "" && (cosigner != "" || alg != string(record.AlgEd25519)) {
				return usageErrorOf(c, "--node makes one kind of key: Ed25519, which cosigns nothing")
			}
			if cosigner != "" {
				files = append(files, out+cosignedSuffix)
			} else if algorithm, err = oneOf("alg", alg, keyAlgorithms); err != nil {
				return err
			}
			for _, name := range files {
				if _, err := os.Lstat(name); err == nil {
					return refusal("%s exists already", name).hint("a key is never overwritten: move it away or name another with --out")
				} else if !errors.Is(err, fs.ErrNotExist) {
					return refusal("looking at %s: %w", name, bare(err))
				}
			}
			if _, err := os.Stat(filepath.Dir(out)); err != nil {
				return refusal("writing %s: %w", out, bare(err))
			}
			if node != "" {
				return a.makeNodeKey(out, node)
			}
			if cosigner != "" {
				return a.makeCosigner(out, cosigner, alg)
			}
			password, err := a.newPassword(c.Context(), out)
			if err != nil {
				return err
			}
			private, public, err := draft.GenerateKey(algorithm, password)
			if err != nil {
				return usageError("%v", err)
			}
			key, err := record.ParseKey(public)
			if err != nil {
				return err
			}
			if err := writeNew(out, private, 0o600); err != nil {
				return err
			}
			if err := writeNew(out+".pub", public, 0o644); err != nil {
				os.Remove(out) // it was not used, and would make the next try fail
				return err
			}
			if password == nil {
				a.logf("docket: warning: %s is not encrypted; anyone who reads it can sign", out)
			}
			a.warnOfReaders(out) // some file systems keep no modes
			a.logf("wrote %s and %s.pub", out, out)
			a.printf("%s\n", key.ID())
			return nil
		},
	}
	c.Flags().StringVar(&out, "out", "", "file of the private key; the public one gets .pub")
	c.Flags().StringVar(&alg, "alg", string(record.AlgEd25519), fmt.Sprintf("algorithm: %s or %s; of a cosigner ed25519 or ml-dsa-44", keyAlgorithms[0], keyAlgorithms[1]))
	c.Flags().StringVar(&cosigner, "cosigner", "", "make the key of an auditor, under this name, that cosigns checkpoints")
	c.Flags().StringVar(&node, "node", "", "make the key of a node, under this name, that signs snapshots of its register")
	c.MarkFlagRequired("out")
	return c
}

// newPassword asks twice for the password of a new key; nil means none.
func (a *app) newPassword(ctx context.Context, name string) ([]byte, error) {
	if p := a.getenv(passwordEnv); p != "" {
		return []byte(p), nil
	}
	first, err := a.askPassword(ctx, "password for "+name+" (empty for none): ")
	if err != nil || len(first) == 0 {
		return nil, err
	}
	second, err := a.askPassword(ctx, "again: ")
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(first, second) {
		return nil, refusal("the two passwords differ").hint("nothing was written; run the same command again")
	}
	return first, nil
}

// errNoTerminal is the answer where a password is needed and nobody can be asked for it.
var errNoTerminal = errors.New("no terminal to ask on")

// password opens an existing key file.
func (a *app) password(ctx context.Context, name string) func() ([]byte, error) {
	return func() ([]byte, error) {
		if p := a.getenv(passwordEnv); p != "" {
			return []byte(p), nil
		}
		p, err := a.askPassword(ctx, "password for "+name+": ")
		if err == nil && p == nil {
			err = errNoTerminal
		}
		return p, err
	}
}

// signerFor opens the private key that --key names: a PEM file or a KMS URI.
func (a *app) signerFor(c *cobra.Command, name string) (*draft.Signer, error) {
	if isKMS(name) {
		return draft.LoadKMSSigner(c.Context(), name)
	}
	text, err := a.readFile(name)
	if err != nil {
		return nil, err
	}
	s, err := draft.LoadSigner(text, a.password(c.Context(), name))
	switch {
	case errors.Is(err, errInterrupted):
		return nil, errInterrupted
	case errors.Is(err, draft.ErrWrongPassword), errors.Is(err, errNoTerminal):
		return nil, refusal("%s: %w", name, err).hint("give its password on a terminal or in $%s", passwordEnv)
	case err != nil:
		return nil, wrongFileError(name, text, "a PEM private key", err)
	}
	a.warnOfReaders(name)
	return s, nil
}

// warnOfReaders warns, once, of a file with a private key to which others than its owner
// have a right.
func (a *app) warnOfReaders(name string) {
	info, err := os.Stat(name)
	if err != nil || !info.Mode().IsRegular() || info.Mode().Perm()&0o077 == 0 || runtime.GOOS == "windows" || slices.Contains(a.warnedKeyFiles, name) {
		return
	}
	a.warnedKeyFiles = append(a.warnedKeyFiles, name)
	a.logf("docket: warning: not its owner alone has a right to the private key in %s (mode %04o): chmod 600 %[1]s, and if others may have read it, replace the key", name, info.Mode().Perm())
}

// warnOfReadersIn does so for the signing keys of a log or a witness.
func (a *app) warnOfReadersIn(dir string) {
	files, _ := filepath.Glob(filepath.Join(dir, "keys", "*.key")) // the pattern is well formed
	for _, name := range files {
		a.warnOfReaders(name)
	}
}

// isKMS tells a KMS URI ("awskms://…") from the name of a file.
func isKMS(name string) bool { return strings.Contains(name, "://") }
