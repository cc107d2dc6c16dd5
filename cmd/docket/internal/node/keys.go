package node

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/seed-53cf897a/docket/ledger/proof"
)

// Keys are a log's signing keys, one of each algorithm, all named by its origin.
// They sign checkpoints and nothing else.
type Keys struct {
	Origin  string
	Signers []*proof.Signer
}

var keyFiles = []struct {
	name string
	alg  proof.Algorithm
}{
	{"log-ed25519.key", proof.Ed25519},
	{"log-mldsa44.key", proof.MLDSA44},
}

// ErrNoKeys: the directory holds no log keys; [CreateKeys] makes them.
var ErrNoKeys = errors.New("no log keys")

// CreateKeys makes the log's keys in dir, or keeps those that are there already
// if they have the same origin.
func CreateKeys(dir, origin string) (Keys, error) {
	if k, err := LoadKeys(dir); err == nil {
		if k.Origin != origin {
			return Keys{}, fmt.Errorf("%s holds the keys of the log %s", dir, k.Origin)
		}
		return k, nil
	} else if !errors.Is(err, ErrNoKeys) {
		return Keys{}, err
	}
	keys := filepath.Join(dir, "keys")
	if err := os.MkdirAll(keys, 0o700); err != nil {
		return Keys{}, fmt.Errorf("making %s: %w", keys, err)
	}
	for _, f := range keyFiles {
		name := filepath.Join(keys, f.name)
		if _, err := os.Stat(name); err == nil {
			continue // a run that was cut off between the two
		}
		secret, _, err := proof.GenerateKey(f.alg, origin)
		if err != nil {
			return Keys{}, err
		}
		if err := writeSecret(name, []byte(secret+"\n")); err != nil {
			return Keys{}, err
		}
	}
	return LoadKeys(dir)
}

// LoadKeys reads the log's keys.
func LoadKeys(dir string) (Keys, error) {
	var k Keys
	for _, f := range keyFiles {
		name := filepath.Join(dir, "keys", f.name)
		text, err := os.ReadFile(name)
		if errors.Is(err, fs.ErrNotExist) {
			return Keys{}, fmt.Errorf("%s: %w: %s is missing", dir, ErrNoKeys, filepath.Join("keys", f.name))
		} else if err != nil {
			return Keys{}, err
		}
		s, err := proof.ParseSigner(string(trimNewline(text)))
		if err != nil {
			return Keys{}, fmt.Errorf("%s: %w", name, err)
		}
		if k.Origin != "" && k.Origin != s.Key().Name() {
			return Keys{}, fmt.Errorf("%s is named %s, the key beside it %s: they belong to two logs", name, s.Key().Name(), k.Origin)
		}
		k.Origin, k.Signers = s.Key().Name(), append(k.Signers, s)
	}
	return k, nil
}

func trimNewline(b []byte) []byte {
	if n := len(b); n > 0 && b[n-1] == '\n' {
		return b[:n-1]
	}
	return b
}

// writeSecret writes a new file for its owner only, durably.
func writeSecret(name string, data []byte) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}
