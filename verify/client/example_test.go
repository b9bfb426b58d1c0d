package client_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"strings"
	"time"

	"trustcore/verify/client"
)

// start stands for a verifyd that runs.
func start() (url string, stop func()) {
	server, err := verifyd(nil)
	if err != nil {
		log.Fatal(err)
	}
	return server.URL, server.Close
}

// A document is judged for a service: the report says what is to be done with it.
func ExampleClient_Validate() {
	url, stop := start()
	defer stop()
	c, err := client.New(client.Config{URL: url})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	v, err := c.Validate(context.Background(), strings.NewReader(`<wniosek xmlns="urn:przyklad"/>`), client.Options{Service: "podatki"})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(v.Report.Summary["en"])
	fmt.Println(v.Report.Service.Outcome, v.Report.Service.Days)
	// Output:
	// The document holds no electronic signature.
	// formal-defect 14
}

// What verifyd refuses is a *Problem that says which part of the request is wrong.
func ExampleProblem() {
	url, stop := start()
	defer stop()
	c, err := client.New(client.Config{URL: url, Language: "pl"})
	if err != nil {
		log.Fatal(err)
	}
	_, err = c.Validate(context.Background(), strings.NewReader("<a/>"), client.Options{Service: "skargi"})
	var p *client.Problem
	if errors.As(err, &p) {
		fmt.Println(p.Status, p.Field)
		fmt.Println(p.Detail)
	}
	// Output:
	// 400 service
	// nie ma tu usługi "skargi": podaj jedną z: podatki
}

// Certificates are judged many at a time.
func ExampleClient_Certificates() {
	url, stop := start()
	defer stop()
	c, err := client.New(client.Config{URL: url})
	if err != nil {
		log.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	lines, err := c.Certificates(ctx, []client.CertificateQuestion{
		{Certificate: identityCards, Revocation: "none", At: "2026-03-03T12:00:00Z"},
		{Certificate: "no certificate"},
	})
	if err != nil {
		log.Fatal(err)
	}
	for _, line := range lines {
		if line.Problem != nil {
			fmt.Println(line.Line, line.Problem.Status, line.Problem.Field)
			continue
		}
		fmt.Println(line.Line, line.Answer.Indication)
	}
	// Output:
	// 1 PASSED
	// 2 422 certificate
}

// The services say which kinds of signatures they accept.
func ExampleClient_Services() {
	url, stop := start()
	defer stop()
	c, err := client.New(client.Config{URL: url})
	if err != nil {
		log.Fatal(err)
	}
	services, err := c.Services(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	for _, s := range services {
		fmt.Println(s.ID, s.Name["pl"], s.Accepts, s.Days)
	}
	// Output:
	// podatki Podatki i opłaty [qualified trusted] 14
}

// identityCards is the root of the Polish identity cards' authorities.
const identityCards = `-----BEGIN CERTIFICATE-----
MIICBjCCAYygAwIBAgIQLpb1mQtNC5Pg5sE8gnHNSzAKBggqhkjOPQQDBDA0MRYw
FAYDVQQDDA1wbC5JRCBSb290IENBMQ0wCwYDVQQFEwQyMDE5MQswCQYDVQQGEwJQ
TDAeFw0xOTAyMTUxMTM4MDNaFw00NDAyMTYxMTM4MDNaMDQxFjAUBgNVBAMMDXBs
LklEIFJvb3QgQ0ExDTALBgNVBAUTBDIwMTkxCzAJBgNVBAYTAlBMMHYwEAYHKoZI
zj0CAQYFK4EEACIDYgAEEmSoYbjlcBmJ35rgvbXHXICVzEvQ6uH0DHjGBycVcM0X
tubXw5uudAju9Nh9u138UWTP0HIBzyf5j7seIMP7T/BfMehXGm6M9AQAc+jTo84n
TM6Rlz6GC71Tjv0jewi6o2MwYTAPBgNVHRMBAf8EBTADAQH/MB8GA1UdIwQYMBaA
FFXRUjK878rs/jOwGOc37uO4L6tHMB0GA1UdDgQWBBRV0VIyvO/K7P4zsBjnN+7j
uC+rRzAOBgNVHQ8BAf8EBAMCAQYwCgYIKoZIzj0EAwQDaAAwZQIxAMFVeN+lfcoB
ECECLrA0m3VnVfiuvposH+VjYL1vIk5Eae26kaEulzry/GlgT/9NKAIwLMadvnE9
WaQdJXV1G2RTzGrTs91SpeU1Sr39kt6MMCJ+63AxuyrvsVhvb/fUwiMf
-----END CERTIFICATE-----
`
