// Package ownsocket is a Unix socket in a directory that one process has open, over which
// others of its owner ask it. Who may not enter the directory may not ask; and who may, but is
// not its owner, may not either.
package ownsocket

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
)

// maxPath is how long a socket's name may be everywhere (POSIX promises 92 bytes).
const maxPath = 92

// path is the shorter of the two names that a socket has.
func path(dir, name string) (string, error) {
	path := filepath.Join(dir, name)
	if here, err := os.Getwd(); err == nil {
		if whole, err := filepath.Abs(path); err == nil {
			if short, err := filepath.Rel(here, whole); err == nil && len(short) < len(path) {
				path = short
			}
		}
	}
	if len(path) > maxPath {
		return "", fmt.Errorf("%s is too long for the name of a socket, of which no more than %d bytes work everywhere", path, maxPath)
	}
	return path, nil
}

// Dial asks whoever has the directory open.
func Dial(ctx context.Context, dir, name string) (net.Conn, error) {
	path, err := path(dir, name)
	if err != nil {
		return nil, err
	}
	return (&net.Dialer{}).DialContext(ctx, "unix", path)
}

// Listen makes the socket. The caller has the lock of the directory, so that one that is
// there is of a process that is gone.
func Listen(dir, name string) (net.Listener, error) {
	path, err := path(dir, name)
	if err != nil {
		return nil, err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}
