package verify

import (
	"bufio"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"trustcore/verify/algorithm"
	"trustcore/verify/signature"
)

// Digests are digests of files that must not leave their office: each stands in for the file in Request.Detached. The
// zero value is empty.
type Digests struct{ files []signature.Detached }

// The limits of Digests.
const (
	MaxDigests    = 1000 // files
	maxDigestName = 1024 // octets
	minDigest     = 28   // octets: two files with one digest can be found for shorter ones (SHA-1 and its elders)
)

// errNoDigest says how a digest is written.
var errNoDigest = errors.New("write [NAME=]ALGORITHM:VALUE with the value in hexadecimal or base64, such as data.bin=SHA-256: and 64 hexadecimal digits")

// Add adds a digest that is written as [NAME=]ALGORITHM:VALUE. NAME is that by which the signature refers to the file,
// and may be left out where it is about one file; the algorithm is SHA-256, SHA256 or the like; the value is
// hexadecimal or base64. Digests of one name are of one file. The error says what is wrong and what to write.
func (d *Digests) Add(text string) error {
	colon := strings.LastIndexByte(text, ':')
	if colon < 0 {
		return fmt.Errorf("%.100q is no digest: %w", text, errNoDigest)
	}
	name, method := "", text[:colon]
	if i := strings.LastIndexByte(method, '='); i >= 0 {
		name, method = method[:i], method[i+1:]
	}
	h, err := hashNamed(method)
	if err != nil {
		return err
	}
	value, err := digestValue(h, text[colon+1:])
	if err != nil {
		return err
	}
	return d.AddValue(name, h, value)
}

// AddValue adds a digest of the file of a name. One by an algorithm that two files may share a digest of, or that has
// another size than the algorithm's, is refused, and so is a second one by the same algorithm.
func (d *Digests) AddValue(name string, h algorithm.Hash, value []byte) error {
	switch {
	case h.Valid() && h.Size() < minDigest:
		return weakDigest(h)
	case !h.Valid() || len(value) != h.Size():
		return fmt.Errorf("%d octets are no digest by %s, which has %d", len(value), h, h.Size())
	case len(name) > maxDigestName:
		return fmt.Errorf("the name of a file has at most %d octets", maxDigestName)
	}
	i := slices.IndexFunc(d.files, func(f signature.Detached) bool { return f.Name == name })
	if i < 0 {
		if len(d.files) == MaxDigests {
			return fmt.Errorf("digests of more than %d files: give those that the signature is about", MaxDigests)
		}
		i, d.files = len(d.files), append(d.files, signature.Detached{Name: name, Digests: map[string][]byte{}})
	}
	if d.files[i].Digests[h.Name()] != nil {
		return fmt.Errorf("the file %.100q has two digests by %s: give each file its own name, NAME=%s:VALUE", name, h, h)
	}
	d.files[i].Digests[h.Name()] = value
	return nil
}

// maxSumLine bounds a line of AddSums in octets.
const maxSumLine = 8 << 10

// AddSums adds what sha256sum(1), sha224sum, sha384sum and sha512sum write, one file a line: the digest, the algorithm of
// which its length tells, and the name; or with --tag. Empty lines are passed over. The error names the line.
func (d *Digests) AddSums(r io.Reader) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxSumLine)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSuffix(lines.Text(), "\r")
		if line == "" {
			continue
		}
		if err := d.addSum(line); err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("no list of digests: %w", err)
	}
	return nil
}

// errNoSum says what a line of a list holds.
var errNoSum = errors.New("no line of sha256sum: DIGEST, two spaces, NAME; or SHA256 (NAME) = DIGEST")

func (d *Digests) addSum(line string) error {
	line, escaped := strings.CutPrefix(line, `\`)
	sum, name, found := strings.Cut(line, " ")
	method, rest, tagged := strings.Cut(line, " (")
	switch end := strings.LastIndex(rest, ") = "); {
	case tagged && end >= 0:
		name, sum = rest[:end], rest[end+len(") = "):]
	case found && len(name) > 1 && (name[0] == ' ' || name[0] == '*'):
		name, method = name[1:], sumMethods[len(sum)]
	default:
		return errNoSum
	}
	if escaped {
		name = strings.NewReplacer(`\\`, `\`, `\n`, "\n", `\r`, "\r").Replace(name)
	}
	h, err := hashNamed(method)
	if err != nil {
		return errNoSum
	}
	value, err := digestValue(h, sum)
	if err != nil {
		return err
	}
	return d.AddValue(name, h, value)
}

// sumMethods are the algorithms of the coreutils by the length of what they write.
var sumMethods = map[int]string{32: "MD5", 40: "SHA1", 56: "SHA224", 64: "SHA256", 96: "SHA384", 128: "SHA512"}

// Beside returns the files with the digests behind them. A file that is given and has a digest too is refused.
func (d *Digests) Beside(files []signature.Detached) ([]signature.Detached, error) {
	for _, f := range d.files {
		if slices.ContainsFunc(files, func(other signature.Detached) bool { return other.Name == f.Name }) {
			return nil, fmt.Errorf("the file %.100q is given, and a digest of it too: give one of them", f.Name)
		}
	}
	return append(files[:len(files):len(files)], d.files...), nil
}

// Texts are the digests as Add takes them, in the order of their files.
func (d *Digests) Texts() []string {
	var list []string
	for _, f := range d.files {
		name := f.Name
		if name != "" {
			name += "="
		}
		for _, method := range slices.Sorted(maps.Keys(f.Digests)) {
			list = append(list, name+method+":"+hex.EncodeToString(f.Digests[method]))
		}
	}
	return list
}

// hashNamed finds a digest algorithm by its name, however people write it: SHA-256, sha256, SHA3-256, SHA-512/256.
func hashNamed(name string) (algorithm.Hash, error) {
	for h := algorithm.NoHash + 1; h.Valid(); h++ {
		if plainName(h.Name()) == plainName(name) {
			return h, nil
		}
	}
	return algorithm.NoHash, fmt.Errorf("%.40q is no digest algorithm that is known here: %w", name, errNoDigest)
}

func plainName(name string) string {
	return strings.NewReplacer("-", "", "_", "", "/", "").Replace(strings.ToUpper(name))
}

func weakDigest(h algorithm.Hash) error {
	return fmt.Errorf("a digest by %s proves nothing, since two files can share it: "+
		"give one by SHA-256, SHA-384 or SHA-512, or the file itself", h)
}

// digestValue reads a digest; its length tells hexadecimal from base64.
func digestValue(h algorithm.Hash, text string) ([]byte, error) {
	if h.Size() < minDigest {
		return nil, weakDigest(h)
	}
	if len(text) == hex.EncodedLen(h.Size()) {
		if value, err := hex.DecodeString(text); err == nil {
			return value, nil
		}
	}
	value, err := base64.RawStdEncoding.Strict().DecodeString(strings.TrimRight(text, "="))
	if err != nil || len(value) != h.Size() {
		return nil, fmt.Errorf("%.200q is no digest by %s: that has %d octets, %d hexadecimal digits", text, h, h.Size(), hex.EncodedLen(h.Size()))
	}
	return value, nil
}
