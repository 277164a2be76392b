package config

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
)

// maxSecret is the longest secret that is read, in bytes.
const maxSecret = 4096

// ErrSecretExposed says that everybody on the machine can read a secret.
var ErrSecretExposed = errors.New("secret can be read by everybody on this machine")

// ReadSecret returns the content of a file that holds one secret, without the line break at its end. It refuses an
// empty file, one above 4096 bytes, and, except on Windows, one that is open to others than its owner and group.
// The secret never appears in an error.
func ReadSecret(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("reading the secret: %w", err)
	}
	defer func() { _ = f.Close() }() // only read: nothing can be lost
	info, err := f.Stat()
	if err != nil {
		return "", fmt.Errorf("reading the secret: %w", err)
	}
	if !info.Mode().IsRegular() {
		return "", fmt.Errorf("reading the secret: %s is not a file", path)
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o007 != 0 {
		return "", fmt.Errorf("%w: %s has mode %04o; run: chmod o= %s", ErrSecretExposed, path, info.Mode().Perm(), path)
	}
	content, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
	if err != nil {
		return "", fmt.Errorf("reading the secret: %w", err)
	}
	if len(content) > maxSecret {
		return "", fmt.Errorf("reading the secret: %s is larger than %d bytes: is it the right file?", path, maxSecret)
	}
	secret := strings.TrimRight(string(content), "\r\n")
	if secret == "" {
		return "", fmt.Errorf("reading the secret: %s is empty", path)
	}
	return secret, nil
}
