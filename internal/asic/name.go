package asic

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// nameWork is what an octet of a name costs: it is brought into the forms in which readers compare names.
const nameWork = 200

// indexNames finds entries by name. Names that are the same after normalisation make an entry
// ambiguous: Find gives neither.
func (c *Container) indexNames() error {
	looks := make(map[string]*Entry, len(c.Entries))
	for _, e := range c.Entries {
		if e.method != stored && e.method != deflated || e.flags&flagEncrypted != 0 {
			return fmt.Errorf("asic: %q is compressed by method %d or encrypted; only stored and deflated entries are read", e.Name, e.method)
		}
		if err := c.budget.Work(int64(nameWork * len(e.Name))); err != nil {
			return err
		}
		e.Name = decodeName(e.Name)
		e.role = roleOf(e.Name)
		c.checkName(e)
		key := normal(e.Name)
		if first, ok := c.byName[key]; ok {
			c.fault("the name %q occurs twice", e.Name)
			first.ambiguous, e.ambiguous = true, true
			continue
		}
		c.byName[key] = e
		if first, ok := looks[look(key)]; ok {
			c.fault("the names %q and %q are one on some systems", first.Name, e.Name)
		}
		looks[look(key)] = e
	}
	c.foreign = foreignPackage(looks)
	return nil
}

// checkName complains about names that show or do something else than they say.
func (c *Container) checkName(e *Entry) {
	key := normal(e.Name)
	if key == ".." || strings.HasPrefix(key, "../") || strings.HasPrefix(key, "/") || len(key) > 1 && key[1] == ':' {
		c.fault("the name %q leads out of the container", e.Name)
	}
	if slices.Contains(strings.FieldsFunc(e.Name, isSeparator), "..") {
		c.fault("the name %q goes back on its way: programs write it to different places", e.Name)
	}
	if strings.ContainsFunc(e.Name, misleading) {
		c.fault("the name %q holds characters that change how it is shown", e.Name)
	}
	if e.role == Folder && e.Size > 0 {
		c.fault("the folder %q holds data", e.Name)
	}
}

func isSeparator(r rune) bool { return r == '/' || r == '\\' }

// misleading are control characters and those that turn the direction of writing: 'fdp.exe' reads 'exe.pdf'.
func misleading(r rune) bool {
	return unicode.IsControl(r) || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069
}

// normal gives names that every file system takes for one another one form.
func normal(name string) string { return path.Clean(strings.ReplaceAll(name, "\\", "/")) }

// look gives names that some file system takes for one another one form: Windows ignores case and what stands
// after the last letter, macOS how accents are written.
func look(name string) string {
	folders := strings.Split(strings.ToLower(norm.NFKC.String(name)), "/")
	for i, f := range folders {
		folders[i] = strings.TrimRight(f, ". ")
	}
	return strings.Join(folders, "/")
}

// Find returns the entry with a name, or nil when there is none or more than one.
func (c *Container) Find(name string) *Entry {
	e := c.byName[normal(name)]
	if e == nil || e.ambiguous {
		return nil
	}
	return e
}

// Foreign names the other type of package that the container is too for programs which go by what is inside,
// such as "Office Open XML", or "".
func (c *Container) Foreign() string {
	if c.Kind == OpenDocument && c.foreign == openDocument {
		return ""
	}
	return c.foreign
}

const (
	openDocument  = "OpenDocument"
	officeOpenXML = "Office Open XML"
)

// foreignPackage tells by the parts that other types of packages must have.
func foreignPackage(looks map[string]*Entry) string {
	for _, p := range []struct {
		name  string
		parts []string
	}{
		{officeOpenXML, []string{"[content_types].xml"}},
		{"EPUB", []string{"meta-inf/container.xml"}},
		{"a Java archive", []string{"meta-inf/manifest.mf"}},
		{"an Android package", []string{"androidmanifest.xml"}},
		{openDocument, []string{"content.xml", "styles.xml"}},
	} {
		if !slices.ContainsFunc(p.parts, func(part string) bool { return looks[part] == nil }) {
			return p.name
		}
	}
	return ""
}

// plainNames are those by which ASiC-S knows its signature, time-stamp and evidence record (EN 319 162-1 4.3.3).
var plainNames = []string{"signatures.xml", "signature.p7s", "timestamp.tst", "evidencerecord.ers", "evidencerecord.xml"}

// isSimple tells the kind of a container that declares none: ASiC-S has one data object, and its signature, time-stamp
// or evidence record by a plain name, or at least nothing that an ASiC-E container has.
func (c *Container) isSimple() bool {
	if len(c.Data()) != 1 || len(c.WithRole(SignatureManifest)) > 0 || len(c.WithRole(RecordManifest)) > 0 {
		return false
	}
	return len(c.WithRole(PackageManifest)) == 0 ||
		slices.ContainsFunc(plainNames, func(name string) bool { return c.Find("META-INF/"+name) != nil })
}
