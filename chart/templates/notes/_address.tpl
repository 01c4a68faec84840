{{- /*
What NOTES.txt says about each way to the registry: commands that work as they are printed. All helpers
take the root context unless they say otherwise.
*/}}

{{- define "docker-registry.notes.address" -}}
{{- $ingress := eq (include "docker-registry.ingress.exists" .) "true" }}
{{- $route := eq (include "docker-registry.httpRoute.exists" .) "true" }}
{{- $type := ternary .Values.service.type "none" .Values.service.create }}
{{- include "docker-registry.notes.user" . }}
{{- include "docker-registry.notes.certificate" . }}
{{- if $ingress }}
{{- include "docker-registry.notes.ingress" . }}
{{- end }}
{{- if $route }}
{{- include "docker-registry.notes.httpRoute" . }}
{{- end }}
{{- if eq $type "NodePort" }}
{{- include "docker-registry.notes.nodePort" . }}
{{- else if eq $type "LoadBalancer" }}
{{- include "docker-registry.notes.loadBalancer" . }}
{{- else if eq $type "none" }}
{{- include "docker-registry.notes.noService" . }}
{{- else if not (or $ingress $route) }}
{{- include "docker-registry.notes.forwarded" (list . (printf "service/%s" (include "docker-registry.service.name" .)) .Values.service.port) }}
{{- end }}
{{- if include "docker-registry.notes.plainWays" . | fromJsonArray }}
  Without https, clients other than those on localhost must be told: Docker by insecure-registries in
  daemon.json, nodes by their containerd's hosts.toml.
{{- end }}
  Inside the cluster: {{ include "docker-registry.tests.url" . }}
{{- include "docker-registry.notes.endpoint" . }}
{{- include "docker-registry.notes.nodeTrust" . }}
{{- if eq (include "docker-registry.tests.exists" .) "true" }}
{{- if and (include "docker-registry.auth" .) (not (include "docker-registry.tests.secret" .)) }}
  To try that nobody is let in without a password (and with tests.username and tests.password, a push too):
{{- else }}
  To try it, {{ if include "docker-registry.tests.readOnly" . }}with a request{{ else }}with a small image that is pushed{{ if .Values.persistence.deleteEnabled }}, pulled and deleted{{ else }} and pulled, and stays{{ end }}{{ end }}:
{{- end }}
    helm test {{ .Release.Name }} -n {{ .Release.Namespace }}
{{- end }}
{{- end }}

{{- /*
docker-registry.notes.user: where passwords are asked for, the line that finds a user's name. It is read
from the Secret: what is printed here ends in logs, and a name from there works for an existing Secret too.
*/}}
{{- define "docker-registry.notes.user" -}}
{{- if include "docker-registry.htpasswd" . }}
{{- $ref := .Values.secrets.htpasswdRef }}
{{- $name := include "docker-registry.renderedText" (list . $ref.name) }}
{{- $key := ternary ($ref.key | default "htpasswd") "htpasswd" (not (empty $name)) | replace "." "\\." }}
{{- $name = $name | default (include "docker-registry.existingSecret" .) | default (include "docker-registry.secret.name" .) }}
  LOGIN=$(kubectl get secret {{ $name }} -n {{ include "docker-registry.namespace" . }} -o jsonpath='{.data.{{ $key }}}' | base64 -d | head -n 1 | cut -d : -f 1)
{{- end }}
{{- end }}

{{- /* docker-registry.notes.curl (list ROOT URL): asks for what there is; curl asks for the password. */}}
{{- define "docker-registry.notes.curl" -}}
{{- $root := index . 0 }}
{{- $prefix := include "docker-registry.configured" (list $root "http" "prefix") | trimSuffix "/" }}
{{- $auth := include "docker-registry.auth" $root -}}
curl {{ if eq $auth "htpasswd" }}--user "$LOGIN" {{ else if $auth }}--include {{ end -}}
"{{ index . 1 }}{{ $prefix }}/v2/{{ if has $auth (list "" "htpasswd") }}_catalog{{ end }}"
{{- if not (has $auth (list "" "htpasswd")) }}    # 401, and who gives tokens{{ end }}
{{- end }}

{{- /* docker-registry.notes.login (list ROOT HOST) */}}
{{- define "docker-registry.notes.login" -}}
{{- $auth := include "docker-registry.auth" (index . 0) }}
{{- if eq $auth "htpasswd" }}
  docker login --username "$LOGIN" "{{ index . 1 }}"
{{- else if $auth }}
  docker login "{{ index . 1 }}"
{{- end }}
{{- end }}

{{- /* docker-registry.notes.inUrl: the first of several addresses, in brackets if it is one of IPv6. */}}
{{- define "docker-registry.notes.inUrl" -}}
| sed 's/ .*//; s/.*:.*/[&]/'
{{- end }}

{{- define "docker-registry.notes.ingress" -}}
{{- $namespace := include "docker-registry.namespace" . }}
{{- range include "docker-registry.ingress.rules" . | fromJsonArray }}
{{- $host := .host }}
{{- $scheme := include "docker-registry.notes.ingressScheme" (list $ $host) }}
{{- if not $host }}
{{- $host = "$HOST" }}
  HOST=$(kubectl get ingress {{ include "docker-registry.fullname" $ }} -n {{ $namespace }} -o jsonpath='{.status.loadBalancer.ingress[0].ip}{.status.loadBalancer.ingress[0].hostname}' {{ include "docker-registry.notes.inUrl" $ }})
{{- end }}
{{- $host = regexReplaceAll "^[*]" $host "registry" }}
  {{ include "docker-registry.notes.curl" (list $ (printf "%s://%s" $scheme $host)) }}
{{- include "docker-registry.notes.login" (list $ $host) }}
{{- end }}
{{- $class := include "docker-registry.ingress.className" . | default "nginx" }}
{{- if and (contains "nginx" $class) (not (hasKey (include "docker-registry.ingress.annotations" . | fromYaml) "nginx.ingress.kubernetes.io/proxy-body-size")) }}
  The Ingress must let large bodies through, or pushes end in 413; for ingress-nginx:
  nginx.ingress.kubernetes.io/proxy-body-size: "0" in ingress.annotations.
{{- end }}
{{- end }}

{{- /* docker-registry.notes.ingressScheme (list ROOT HOST): https where a certificate is for this host, or for all. */}}
{{- define "docker-registry.notes.ingressScheme" -}}
{{- $root := index . 0 }}
{{- $host := index . 1 }}
{{- $scheme := "http" }}
{{- range include "docker-registry.rendered" (list $root ($root.Values.ingress.tls | default list)) | fromYamlArray }}
{{- $hosts := .hosts }}
{{- $hosts = ternary $hosts (list $hosts | compact) (kindIs "slice" $hosts) }}
{{- if or (not $hosts) (has $host $hosts) (has (regexReplaceAll "^[^.]+" $host "*") $hosts) }}
{{- $scheme = "https" }}
{{- end }}
{{- end }}
{{- $scheme }}
{{- end }}

{{- /*
docker-registry.notes.httpRoute: whether it is https is the Gateway's to say, and clients want it to be;
a parent that names a listener says it by the name.
*/}}
{{- define "docker-registry.notes.httpRoute" -}}
{{- $namespace := include "docker-registry.namespace" . }}
{{- $parent := include "docker-registry.rendered" (list . .Values.httproute.parentRefs) | fromYamlArray | first }}
{{- $listener := printf "%s %s" (include "docker-registry.text" $parent.sectionName) (include "docker-registry.text" $parent.port) }}
{{- $scheme := ternary "http" "https" (regexMatch "^(http|web)? (80|8080)?$" $listener | and (ne $listener " ")) }}
  kubectl get httproute {{ include "docker-registry.fullname" . }} -n {{ $namespace }} -o jsonpath='{range .status.parents[*].conditions[*]}{.type}={.status} {.message}{"\n"}{end}'    # whether the Gateway took it
{{- $hosts := include "docker-registry.rendered" (list . .Values.httproute.hostnames) | fromYamlArray }}
{{- if not $hosts }}
{{- $hosts = list "$GATEWAY" }}
  GATEWAY=$(kubectl get gateway {{ include "docker-registry.text" $parent.name }} -n {{ include "docker-registry.text" $parent.namespace | default $namespace }} -o jsonpath='{.status.addresses[0].value}' {{ include "docker-registry.notes.inUrl" $ }})
{{- end }}
{{- range $hosts }}
{{- $host := regexReplaceAll "^[*]" . "registry" }}
  {{ include "docker-registry.notes.curl" (list $ (printf "%s://%s" $scheme $host)) }}
{{- include "docker-registry.notes.login" (list $ $host) }}
{{- end }}
{{- end }}

{{- define "docker-registry.notes.nodePort" -}}
{{- $namespace := include "docker-registry.namespace" . }}
{{- $scheme := include "docker-registry.scheme" . }}
  NODE=$(kubectl get nodes -o jsonpath='{.items[0].status.addresses[?(@.type=="InternalIP")].address}' {{ include "docker-registry.notes.inUrl" $ }})
  PORT=$(kubectl get service {{ include "docker-registry.service.name" . }} -n {{ $namespace }} -o jsonpath='{.spec.ports[0].nodePort}')
  {{ include "docker-registry.notes.straight" (list . (printf "%s://$NODE:$PORT" $scheme)) }}
{{- include "docker-registry.notes.login" (list . "$NODE:$PORT") }}
{{- if not (include "docker-registry.tls.clientsMust" .) }}
  The nodes themselves may pull localhost:$PORT/NAME, where kube-proxy listens there{{ if eq $scheme "http" }}, which needs no trust{{ end }}.
{{- end }}
{{- end }}

{{- define "docker-registry.notes.loadBalancer" -}}
{{- $get := printf "kubectl get service %s -n %s" (include "docker-registry.service.name" .) (include "docker-registry.namespace" .) }}
{{- $scheme := include "docker-registry.scheme" . }}
{{- $port := .Values.service.port | int }}
  {{ $get }} --watch    # until it has an EXTERNAL-IP; then end it
  ADDRESS=$({{ $get }} -o jsonpath='{.status.loadBalancer.ingress[0].ip}{.status.loadBalancer.ingress[0].hostname}' {{ include "docker-registry.notes.inUrl" $ }})
  {{ include "docker-registry.notes.straight" (list . (printf "%s://$ADDRESS:%d" $scheme $port)) }}
{{- include "docker-registry.notes.login" (list . (printf "$ADDRESS:%d" $port)) }}
{{- end }}

{{- define "docker-registry.notes.noService" -}}
{{- $selector := include "docker-registry.selector" . | fromYaml }}
  service.create is false: the Service {{ include "docker-registry.service.name" . }} is yours to make, with the port {{ .Values.service.port | int }}, the target port
  {{ include "docker-registry.port" . }} and the selector {app: {{ $selector.app }}, release: {{ $selector.release }}}. Without it:
{{- include "docker-registry.notes.forwarded" (list . (include "docker-registry.notes.workload" .) (include "docker-registry.port" .)) }}
{{- end }}

{{- /*
docker-registry.notes.forwarded (list ROOT TARGET PORT). Through a port of this machine only
the release's own certificate has the right name; another is not looked at.
*/}}
{{- define "docker-registry.notes.forwarded" -}}
{{- $root := index . 0 }}
  kubectl port-forward -n {{ include "docker-registry.namespace" $root }} {{ index . 1 }} 5000:{{ index . 2 | int }}    # leave it running; then, elsewhere:
{{- $scheme := include "docker-registry.scheme" $root }}
{{- $unknown := and (eq $scheme "https") (ne (include "docker-registry.tls.mode" $root) "selfSigned") }}
  {{ include "docker-registry.notes.straight" (list $root (printf "%s://127.0.0.1:5000" $scheme)) | replace "curl " (ternary "curl --insecure " "curl " $unknown) }}
{{- if eq $scheme "http" }}
{{- include "docker-registry.notes.login" (list $root "localhost:5000") }}
{{- end }}
{{- end }}

{{- /* docker-registry.notes.workload: as kubectl names it. */}}
{{- define "docker-registry.notes.workload" -}}
{{- printf "%s/%s" (include "docker-registry.workload.kind" . | lower) (include "docker-registry.fullname" .) }}
{{- end }}

{{- define "docker-registry.notes.metrics" -}}
{{- $service := include "docker-registry.metrics.service.name" . }}
{{- $path := include "docker-registry.configured" (list . "http" "debug" "prometheus" "path") | default "/metrics" }}
  kubectl port-forward -n {{ include "docker-registry.namespace" . }} service/{{ $service }} 5001:{{ .Values.metrics.port | int }}    # leave it running; then, elsewhere:
  curl "http://127.0.0.1:5001{{ $path }}"
{{- end }}
