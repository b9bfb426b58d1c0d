// Package words holds the texts of pages, one file of JSON a language.
package words

import (
	"embed"
	"encoding/json"
	"fmt"
)

// Languages are those of the page, the default first.
var Languages = []string{"pl", "en"}

// Words are the texts of one language by their ids; verbs of package fmt stand for what is filled in.
type Words map[string]string

// Load reads messages/LANGUAGE.json of each language. The files are a part of the program: what is wrong with them is a fault
// of the build.
func Load(files embed.FS) map[string]Words {
	all := map[string]Words{}
	for _, language := range Languages {
		data, err := files.ReadFile("messages/" + language + ".json")
		var list Words
		if err == nil {
			err = json.Unmarshal(data, &list)
		}
		if err != nil {
			panic(fmt.Sprintf("words of %s: %v", language, err))
		}
		all[language] = list
	}
	return all
}

// Say returns a text with what is filled in; a text that is not there is an error, which ends the making of a page.
func (w Words) Say(id string, filled ...any) (string, error) {
	text, known := w[id]
	if !known {
		return "", fmt.Errorf("there is no text %q", id)
	}
	if len(filled) == 0 {
		return text, nil
	}
	return fmt.Sprintf(text, filled...), nil
}
