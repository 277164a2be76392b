package main

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"filippo.io/age"

	"github.com/azs-edge/azs-edge/config"
)

// The kinds of blocks in key files.
const (
	privateBlock = "PRIVATE KEY"
	publicBlock  = "PUBLIC KEY"
)

// publicPath is where the public half of a key is kept.
func publicPath(key string) string { return strings.TrimSuffix(key, ".key") + ".pub" }

// ensureActKey makes the key that signs acts, unless there is one, and its public half beside it.
func ensureActKey(path string) error {
	key, err := readActKey(path)
	if errors.Is(err, fs.ErrNotExist) {
		key, err = makeActKey(path)
	}
	if err != nil {
		return err
	}
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return fmt.Errorf("write the public key of acts: %w", err)
	}
	err = writeNew(publicPath(path), pem.EncodeToMemory(&pem.Block{Type: publicBlock, Bytes: der}), 0o644)
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("write the public key of acts: %w", err)
	}
	return nil
}

func makeActKey(path string) (ed25519.PrivateKey, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make the key of acts: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("make the key of acts: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return nil, fmt.Errorf("make the key of acts: %w", err)
	}
	if err := writeNew(path, pem.EncodeToMemory(&pem.Block{Type: privateBlock, Bytes: der}), 0o600); err != nil {
		return nil, withHint(fmt.Errorf("make the key of acts: %w", err), "run it as root, or name a configuration of your own with --config")
	}
	return key, nil
}

// readActKey reads the key that signs acts. One that everybody may read is refused.
func readActKey(path string) (ed25519.PrivateKey, error) {
	text, err := config.ReadSecret(path)
	if err != nil {
		return nil, withHint(fmt.Errorf("the key that signs acts: %w", err), "`azs-hq init` makes it; accounts.act_key_file names it; run this as a user who may read it")
	}
	block, _ := pem.Decode([]byte(text))
	if block == nil || block.Type != privateBlock {
		return nil, fmt.Errorf("%s holds no private key (PEM)", path)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%s holds no private key: %w", path, err)
	}
	key, ok := parsed.(ed25519.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("%s holds a key of another kind, want ed25519", path)
	}
	return key, nil
}

// maxKey bounds a file with a public key, in bytes.
const maxKey = 4096

// readPublicKey reads the key that an act is verified with.
func readPublicKey(path string) (ed25519.PublicKey, error) {
	text, err := readBounded(path, maxKey)
	if err != nil {
		return nil, fmt.Errorf("read the public key: %w", err)
	}
	block, _ := pem.Decode(text)
	if block == nil || block.Type != publicBlock {
		return nil, withHint(fmt.Errorf("%s holds no public key (PEM)", path), "it is the file that ends in .pub, which `azs-hq init` puts beside the key")
	}
	parsed, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%s holds no public key: %w", path, err)
	}
	key, ok := parsed.(ed25519.PublicKey)
	if !ok {
		return nil, fmt.Errorf("%s holds a key of another kind, want ed25519", path)
	}
	return key, nil
}

// readBounded reads a file of at most so many bytes.
func readBounded(path string, most int64) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Size() > most {
		return nil, fmt.Errorf("%s has %d bytes, at most %d: is it the right file?", path, info.Size(), most)
	}
	return os.ReadFile(path)
}

// ensureFormsIdentity makes the age identity that opens the forms of new customers, unless there is one, and returns the
// recipient that stations seal to.
func ensureFormsIdentity(path string) (recipient string, err error) {
	text, err := config.ReadSecret(path)
	if err == nil {
		ids, err := age.ParseIdentities(strings.NewReader(text))
		if err != nil {
			return "", fmt.Errorf("the identity of forms, %s: %w", path, err)
		}
		for _, id := range ids {
			if x, ok := id.(*age.X25519Identity); ok {
				return x.Recipient().String(), nil
			}
		}
		return "", fmt.Errorf("the identity of forms, %s, is of another kind than X25519", path)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("the identity of forms: %w", err)
	}
	id, err := age.GenerateX25519Identity()
	if err != nil {
		return "", fmt.Errorf("make the identity of forms: %w", err)
	}
	content := fmt.Sprintf("# created: %s\n# public key: %s\n%s\n", time.Now().Format(time.RFC3339), id.Recipient(), id)
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return "", fmt.Errorf("make the identity of forms: %w", err)
	}
	if err := writeNew(path, []byte(content), 0o600); err != nil {
		return "", withHint(fmt.Errorf("make the identity of forms: %w", err), "run it as root, or name a configuration of your own with --config")
	}
	return id.Recipient().String(), nil
}
