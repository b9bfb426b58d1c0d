package batch

import (
	"encoding/json"
	"errors"
	"io"
	"math"
	"mime"
	"mime/multipart"
	"net/http"
	"strconv"
	"time"

	"trustcore/internal/problem"
)

// maxRequest bounds a request that is no upload, in bytes.
const maxRequest = 64 << 10

// uploadTime is how long an upload may take.
const uploadTime = 2 * time.Hour

// Bodies is what the listener in front must let through: uploads are bounded by the quotas.
func Bodies(maxUpload int64) problem.Body {
	return problem.Body{Max: maxUpload, Time: uploadTime, Gzip: true}
}

// Routes are what is served, by patterns of net/http's ServeMux, to an owner whom the guard in front has let through
// by that pattern.
func (b *Batches) Routes(door problem.Door) map[string]func(w http.ResponseWriter, r *http.Request, owner string) {
	routes := map[string]func(w http.ResponseWriter, r *http.Request, owner string){}
	for pattern, do := range map[string]func(w http.ResponseWriter, r *http.Request, owner string) error{
		"POST /v1/batches":                         b.create,
		"GET /v1/batches":                          b.list,
		"GET /v1/batches/{id}":                     b.tell,
		"DELETE /v1/batches/{id}":                  b.erase,
		"POST /v1/batches/{id}/documents":          b.upload,
		"PUT /v1/batches/{id}/documents/{name...}": b.put,
		"POST /v1/batches/{id}/{change}":           b.change,
		"GET /v1/batches/{id}/results":             b.sendResults,
		"POST /v1/webhook-secret":                  b.makeSecret,
		"GET /openapi.json":                        b.tellRoutes,
	} {
		routes[pattern] = func(w http.ResponseWriter, r *http.Request, owner string) {
			if err := do(w, r, owner); err != nil {
				door.Fail(w, r, asProblem(err))
			}
		}
	}
	return routes
}

func (b *Batches) list(w http.ResponseWriter, r *http.Request, owner string) error {
	list, err := b.List(r.Context(), owner)
	return send(w, http.StatusOK, list, err)
}

func (b *Batches) tell(w http.ResponseWriter, r *http.Request, owner string) error {
	info, err := b.Info(r.Context(), owner, r.PathValue("id"))
	return send(w, http.StatusOK, info, err)
}

func (b *Batches) change(w http.ResponseWriter, r *http.Request, owner string) error {
	info, err := b.Change(r.Context(), owner, r.PathValue("id"), r.PathValue("change"))
	return send(w, http.StatusOK, info, err)
}

func (b *Batches) erase(w http.ResponseWriter, r *http.Request, owner string) error {
	if err := b.Delete(r.Context(), owner, r.PathValue("id")); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (b *Batches) makeSecret(w http.ResponseWriter, r *http.Request, owner string) error {
	secret, err := b.NewSecret(r.Context(), owner)
	return send(w, http.StatusOK, secretAnswer{secret}, err)
}

// asProblem makes problems of what a caller can do something about.
func asProblem(err error) error {
	var limit *LimitError
	var state *StateError
	var count *CountError
	var taken *TakenError
	var name *NameError
	var large *TooLargeError
	var no *Refusal
	switch {
	case errors.Is(err, ErrUnknown):
		return problem.Refuse(http.StatusNotFound, "%v", ErrUnknown)
	case errors.As(err, &limit):
		p := problem.Refuse(http.StatusTooManyRequests, "%v", limit)
		p.RetryAfter = int(math.Ceil(limit.Wait.Seconds()))
		return p
	case errors.As(err, &state):
		return problem.Refuse(http.StatusConflict, "%v", state)
	case errors.As(err, &count):
		return problem.RefuseField(http.StatusConflict, "first", "%v: send what comes behind them", count)
	case errors.As(err, &taken):
		return problem.RefuseField(http.StatusConflict, "name", "%v", taken)
	case errors.As(err, &name):
		return problem.RefuseField(http.StatusBadRequest, "name", "%v", name)
	case errors.As(err, &large):
		return problem.Refuse(http.StatusRequestEntityTooLarge, "%v", large)
	case errors.As(err, &no):
		return problem.Refuse(no.Status, "%s", no.Detail)
	}
	return err
}

func send(w http.ResponseWriter, status int, answer any, err error) error {
	if err != nil {
		return err
	}
	data, err := json.Marshal(answer)
	if err == nil {
		problem.Send(w, status, "application/json", data)
	}
	return err
}

func (b *Batches) create(w http.ResponseWriter, r *http.Request, owner string) error {
	if err := problem.Limit(r, maxRequest); err != nil {
		return err
	}
	var in struct {
		Name string `json:"name"`
		Wish
	}
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(&in); err != nil && !errors.Is(err, io.EOF) {
		return problem.OfJSON(err)
	}
	if err := in.check(in.Name); err != nil {
		return err
	}
	if may := b.cfg.Terms(owner).MayAsk; in.Service != "" && may != nil && !may(in.Service) {
		return problem.RefuseField(http.StatusForbidden, "service", "you may not ask about the service %.100q", in.Service)
	}
	info, err := b.Create(r.Context(), owner, in.Name, in.Wish)
	if err == nil {
		w.Header().Set("Location", "/v1/batches/"+info.ID)
	}
	return send(w, http.StatusCreated, info, err)
}

// check refuses a wish that no document could be judged by.
func (w Wish) check(name string) error {
	for field, text := range map[string]string{"name": name, "policy": w.Policy, "service": w.Service} {
		if len(text) > maxName {
			return problem.RefuseField(http.StatusBadRequest, field, "longer than %d bytes", maxName)
		}
	}
	if w.At != "" {
		if _, err := time.Parse(time.RFC3339, w.At); err != nil {
			return problem.RefuseField(http.StatusBadRequest, "at", "%.40q is no time: write one such as 2026-03-03T12:00:00Z",
				w.At)
		}
	}
	if w.Language != "" && w.Language != "en" && w.Language != "pl" {
		return problem.RefuseField(http.StatusBadRequest, "language", "%.40q is neither en nor pl", w.Language)
	}
	return nil
}

// added is the answer to an upload.
type added struct {
	Documents int64 `json:"documents"` // that the batch has
}

// upload takes many documents as multipart/form-data: parts named document, each followed by what it signs in parts
// named detached; or, as application/x-ndjson, where documents lie: a Source a line.
func (b *Batches) upload(w http.ResponseWriter, r *http.Request, owner string) error {
	query, err := problem.Query(r, "first")
	if err != nil {
		return err
	}
	first := int64(-1)
	if text := query.Get("first"); text != "" {
		if first, err = strconv.ParseInt(text, 10, 64); err != nil || first < 0 {
			return problem.RefuseField(http.StatusBadRequest, "first", "%.40q is no number of a document", text)
		}
	}
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || media != "multipart/form-data" && media != "application/x-ndjson" {
		return problem.RefuseField(http.StatusUnsupportedMediaType, "Content-Type",
			"send documents as multipart/form-data, or as application/x-ndjson where they lie")
	}
	u, err := b.Upload(r.Context(), owner, r.PathValue("id"))
	if err != nil {
		return err
	}
	receive := u.receive
	if media == "application/x-ndjson" {
		receive = func(r *http.Request) error { return ofLines(u.Sources(r.Body)) }
	}
	if err := receive(r); err != nil {
		return errors.Join(err, u.Cancel())
	}
	documents, err := u.Commit(r.Context(), first)
	return send(w, http.StatusOK, added{documents}, err)
}

// put takes one document under its name.
func (b *Batches) put(w http.ResponseWriter, r *http.Request, owner string) error {
	u, err := b.Upload(r.Context(), owner, r.PathValue("id"))
	if err != nil {
		return err
	}
	documents, err := u.One(r.Context(), r.PathValue("name"), r.Body)
	return send(w, http.StatusOK, added{documents}, ofBody(err))
}

func (u *Upload) receive(r *http.Request) error {
	form, err := problem.FormOf(r)
	for err == nil {
		var part *multipart.Part
		if part, err = form.Next(); err == nil {
			err = u.part(part)
		}
	}
	switch {
	case !errors.Is(err, io.EOF):
		return ofBody(err)
	case len(u.documents) == 0:
		return problem.RefuseField(http.StatusBadRequest, "document", "there is no part named document")
	}
	return nil
}

func (u *Upload) part(part *multipart.Part) error {
	switch name := part.FormName(); name {
	case "document":
		return ofBody(u.Document(nameOf(part), part))
	case "detached":
		return ofBody(u.Beside(nameOf(part), part))
	default:
		return problem.RefuseField(http.StatusBadRequest, name, "the part %.100q is neither document nor detached", name)
	}
}

// nameOf is a file's name with the folders in it, which multipart.Part.FileName leaves out: it is a label here and no
// path.
func nameOf(part *multipart.Part) string {
	_, parameters, err := mime.ParseMediaType(part.Header.Get("Content-Disposition"))
	if err != nil {
		return ""
	}
	return parameters["filename"]
}

// ofBody makes a problem of an upload that broke off; what the queue says of it stays what it is.
func ofBody(err error) error {
	if err == nil || errors.As(asProblem(err), new(*problem.Problem)) {
		return err
	}
	return problem.OfBody(err)
}

// ofLines makes a problem of lines that are no sources.
func ofLines(err error) error {
	if err == nil || errors.As(asProblem(err), new(*problem.Problem)) {
		return err
	}
	return problem.OfJSON(err)
}

// sendResults sends what is there of the results, in the order in which documents were judged, of which a range of
// bytes may be asked for; or in the order of the documents, from the number of one on.
func (b *Batches) sendResults(w http.ResponseWriter, r *http.Request, owner string) error {
	query, err := problem.Query(r, "from")
	if err != nil {
		return err
	}
	id := r.PathValue("id")
	from, ordered := int64(0), query.Has("from")
	if ordered {
		if from, err = strconv.ParseInt(query.Get("from"), 10, 64); err != nil || from < 0 {
			return problem.RefuseField(http.StatusBadRequest, "from", "%.40q is no number of a document", query.Get("from"))
		}
	}
	if _, err := b.Info(r.Context(), owner, id); err != nil {
		return err
	}
	if err := b.cfg.Record(r.Context(), Act{Owner: owner, Action: "batch.read", Batch: id}); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if ordered {
		return b.Ordered(r.Context(), owner, id, from, w)
	}
	content, end, err := b.Results(r.Context(), owner, id)
	if err != nil {
		return err
	}
	http.ServeContent(w, r, "", time.Time{}, content) // so that a reader goes on where it was: Range
	return end.Close()
}
