package console_test

import (
	"bytes"
	"html"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"

	"trustcore/cmd/internal/registry"
)

func (b *browser) draft(content string) (int, string) {
	b.Helper()
	contentType, body := form(b.TB, [3]string{"file", "order.yaml", content})
	status, text, _ := b.send("POST", "/draft", contentType, body)
	return status, text
}

// TestDraftThenSubmit: the draft shows fields and difference and records nothing; its button submits the same order.
func TestDraftThenSubmit(t *testing.T) {
	d := open(t)
	b := d.login(one)
	d.wants(b.at("/submit"), `action="draft"`, `type="file"`)
	status, text := b.draft(orderYAML)
	if status != http.StatusOK {
		t.Errorf("status %d", status)
	}
	d.wants(text, "This is how the order was read", "switches on", "<b>B_HSM</b>", "Miejski Ośrodek", "UR/12/2026", "RSA-PSS-SHA256", "Submit order ZU-2026-001", `action="orders/submit"`)
	if all, err := d.registry.Orders(t.Context()); err != nil || len(all) != 0 {
		t.Errorf("a draft is kept: %+v, %v", all, err)
	}
	_, after, _ := strings.Cut(text, `<textarea name="file" hidden`)
	_, after, _ = strings.Cut(after, ">\n")
	file, _, _ := strings.Cut(after, "</textarea>")
	status, _, header := b.post("/orders/submit", "file", html.UnescapeString(file))
	if status != http.StatusSeeOther || header.Get("Location") != b.home+"/order?id=ZU-2026-001#notice" {
		t.Fatalf("status %d, to %q", status, header.Get("Location"))
	}
	d.wants(b.at("/order?id=ZU-2026-001"), "is submitted and waits for another officer", "You submitted this order")
	rec, err := d.registry.Order(t.Context(), "ZU-2026-001")
	if err != nil || rec.SubmittedBy != "officer-1" || len(rec.HSMAuthorization.Keys) != 1 {
		t.Errorf("%+v, %v", rec, err)
	}
	if got := d.recorded("order.submit", 1); got[0] != "officer-1 granted" {
		t.Errorf("audit log: %q", got)
	}
	d.must(d.registry.Approve(t.Context(), two, "ZU-2026-001"))
	d.must(d.registry.Finish(t.Context(), "ZU-2026-001", registry.Active))
	_, text = b.draft("id: ZZ-1\nkind: change\npartner: {id: um-przykladowo}\ncomponents: [B_HSM]\n")
	d.wants(text, "switches off", "unchanged", "P_VPN", "Submit order ZZ-1")
}

// TestOrdersThatAreRefused: in plain Polish with the remedy, by the same rules as the admin interface, and with what was
// given to correct.
func TestOrdersThatAreRefused(t *testing.T) {
	d := open(t)
	d.submit(one, orderYAML)
	d.must(d.registry.Approve(t.Context(), two, "ZU-2026-001"))
	b := d.login(one)
	b.post("/preferences", "language", "pl")
	change := func(old, new string) string { return strings.Replace(orderYAML, old, new, 1) }
	for name, c := range map[string]struct{ file, want string }{
		"empty":            {"", "Plik jest pusty"},
		"no YAML":          {"id: [", "nie jest poprawnym YAML"},
		"a stranger":       {orderYAML + "color: red\n", "pole, którego zlecenie nie zna"},
		"two":              {orderYAML + "---\n" + orderYAML, "więcej niż jedno zlecenie"},
		"number":           {change("ZU-2026-001", "../7"), "Numer zlecenia: najwyżej 64 znaki"},
		"kind":             {change("kind: activation", "kind: other"), "wpisz activation"},
		"hidden name":      {change("Urząd Miasta Przykładowo", `"Urząd\u202eMiasta"`), "Nazwa urzędu: dokładnie jak w umowie"},
		"date":             {change("2026-01-15", "15.01.2026"), "RRRR-MM-DD"},
		"algorithm":        {change("RSA-3072", "RSA-1024"), "RSA-3072, RSA-4096, P-256 albo P-384"},
		"over":             {change("2027-01-01", "2026-02-01"), "Koniec upoważnienia: musi leżeć w przyszłości"},
		"there":            {change("components: [B_HSM, P_VPN]", "components: [B_HSM, P_VPN]"), "Komponent jest już włączony"},
		"not on":           {"id: ZZ-1\nkind: change\npartner: {id: um-przykladowo}\ncomponents: [B_PeUP]\n", "nie jest włączone"},
		"no partner":       {"id: ZZ-1\nkind: change\npartner: {id: no}\ncomponents: [B_PeUP]\n", "Tego partnera nie ma w rejestrze"},
		"other agreement":  {strings.Replace(change("ZU-2026-001", "ZU-2"), "UR/12", "UR/13", 1), "umowę ramową o innym numerze"},
		"a bad mechanism":  {change("RSA-PSS-SHA256", "MD5"), "Mechanizmy: wpisz co najmniej jeden"},
		"renews nothing":   {change("id: ZU-2026-001", "id: ZU-2\nrenews: ZU-9"), "Pole renews: wpisz numer czynnego"},
		"a unit's name":    {change("name: Miejski Ośrodek Pomocy Społecznej", "name: ''"), "Nazwa jednostki"},
		"sites' networks":  {change("{site: main}", "{site: main, networks: [10.0.0.1/8]}"), "Sieci za lokalizacją"},
		"an HTML identity": {change("id: ZU-2026-001", "id: '<script>alert(1)</script>'"), "Numer zlecenia"},
	} {
		for route, ask := range map[string]func() (int, string){
			"draft":  func() (int, string) { return b.draft(c.file) },
			"submit": func() (int, string) { status, text, _ := b.post("/orders/submit", "file", c.file); return status, text },
		} {
			status, text := ask()
			if status != http.StatusUnprocessableEntity {
				t.Errorf("%s, %s: status %d", name, route, status)
			}
			d.wants(text, c.want, `role="alert"`, "Tego zlecenia nie można przyjąć")
			d.lacks(text, "<script>alert", `action="orders/submit"`)
			if strings.Contains(c.file, "components") {
				d.wants(text, "components")
			}
		}
	}
	if all, err := d.registry.Orders(t.Context()); err != nil || len(all) != 1 {
		t.Errorf("%d orders, %v", len(all), err)
	}
	large := strings.Repeat("#", 256<<10+1)
	if status, text := b.draft(large); status != http.StatusRequestEntityTooLarge || !strings.Contains(text, "najwyżej 256 KiB") {
		t.Errorf("a large file: status %d", status)
	}
	if status, _, _ := b.send("POST", "/draft", "text/plain", bytes.NewReader([]byte("x"))); status/100 != 4 {
		t.Errorf("no form: status %d", status)
	}
}

// TestEveryFieldOfAnOrderHasWords: what the registry may say of a field is told in the officer's language.
func TestEveryFieldOfAnOrderHasWords(t *testing.T) {
	literal := regexp.MustCompile(`FieldError\{(?:Field: )?"([a-z_.]+)"`)
	messages, err := os.ReadFile("messages/pl.json")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, file := range []string{"orderfile.go", "sites.go", "renewal.go", "servers.go"} {
		source, err := os.ReadFile("../registry/" + file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range literal.FindAllStringSubmatch(string(source), -1) {
			if found++; !strings.Contains(string(messages), `"field.`+m[1]+`"`) {
				t.Errorf("%s: the field %s has no words", file, m[1])
			}
		}
	}
	if found < 30 {
		t.Errorf("%d fields found", found)
	}
}
