{{- /* docker-registry.contradictions.tls (root context): a line `- sentence` each, about the registry's own certificate. */}}
{{- define "docker-registry.contradictions.tls" -}}
{{- $tls := .Values.tls }}
{{- $mode := include "docker-registry.text" $tls.mode }}
{{- $secret := include "docker-registry.renderedText" (list . .Values.tlsSecretName) }}
{{- if has $mode (list "none" "certManager" "selfSigned") }}
{{- if $secret }}
- tls.mode is {{ $mode }}, but tlsSecretName is {{ $secret }}: a registry has one certificate. Remove tlsSecretName; or set tls.mode: secret to use that Secret.
{{- end }}
{{- if or $tls.crt $tls.key }}
- tls.mode is {{ $mode }}, but tls.crt or tls.key is set: a registry has one certificate. Remove them; or set tls.mode: secret to use them.
{{- end }}
{{- else if and (eq $mode "secret") (not $secret) (not $tls.crt) (not $tls.key) }}
- tls.mode is secret, but no Secret is named. Set tlsSecretName; or tls.mode: selfSigned, and the release makes one.
{{- end }}
{{- if and $secret (has $secret (list (printf "%s-selfsigned" (include "docker-registry.fullname" .)) (printf "%s-selfsigned-ca" (include "docker-registry.fullname" .)))) }}
- tlsSecretName is {{ $secret }}, which is tls.mode selfSigned's own and goes with it. Copy it under another name, or set tls.mode: selfSigned instead.
{{- end }}
{{- $version := include "docker-registry.text" $tls.minimumVersion }}
{{- $said := include "docker-registry.configured" (list . "http" "tls" "minimumtls") }}
{{- if not (has $version (list "1.2" "1.3")) }}
- tls.minimumVersion is {{ quote $version }}. Set "1.2" or "1.3".
{{- else if and (eq $version "1.3") $said (ne $said "tls1.3") }}
- tls.minimumVersion is 1.3, but configData.http.tls.minimumtls is {{ $said }}, which counts more. Remove one of the two.
{{- end }}
{{- $restart := include "docker-registry.text" $tls.restartOnRenewal }}
{{- if and (eq $restart "true") (not (include "docker-registry.tlsSecret" .)) }}
- tls.restartOnRenewal is true, but the registry has no certificate from a Secret that could be renewed. Remove it, or set tls.mode.
{{- end }}
{{- include "docker-registry.contradictions.tls.ownConfiguration" . }}
{{- include "docker-registry.contradictions.tls.clients" . }}
{{- include "docker-registry.contradictions.tls.names" . }}
{{- if eq $mode "selfSigned" }}
{{- include "docker-registry.contradictions.tls.selfSigned" $tls.selfSigned }}
{{- else if eq $mode "certManager" }}
{{- include "docker-registry.contradictions.tls.certManager" . }}
{{- end }}
{{- end }}

{{- /*
docker-registry.contradictions.tls.ownConfiguration (root context): a certificate in the user's own
configuration beside one of a mode. Beside a peer's tlsSecretName it did nothing, and still does.
*/}}
{{- define "docker-registry.contradictions.tls.ownConfiguration" -}}
{{- $mode := include "docker-registry.text" .Values.tls.mode }}
{{- $own := "" }}
{{- if include "docker-registry.configured" (list . "http" "tls" "certificate") }}
{{- $own = "configData.http.tls.certificate" }}
{{- end }}
{{- $variables := include "docker-registry.extraValues" . | fromYaml }}
{{- range $name := list "REGISTRY_HTTP_TLS_CERTIFICATE" "REGISTRY_HTTP_TLS_KEY" }}
{{- if hasKey $variables $name }}
{{- $own = printf "%s in extraEnvVars" $name }}
{{- end }}
{{- end }}
{{- if and $own (has $mode (list "secret" "certManager" "selfSigned")) }}
- tls.mode is {{ $mode }}, but {{ $own }} is set: a registry has one certificate. Remove one of the two.
{{- end }}
{{- if and (include "docker-registry.tlsSecret" .) (include "docker-registry.configured" (list . "http" "tls" "letsencrypt" "cachefile")) }}
- configData.http.tls.letsencrypt is set, and so is a certificate ({{ ternary "tls.mode" "tlsSecretName" (not (empty $mode)) }}): the registry does not start with both. Remove one of the two.
{{- end }}
{{- end }}

{{- define "docker-registry.contradictions.tls.clients" -}}
{{- $clients := .Values.tls.clientCA }}
{{- with include "docker-registry.tls.clientCA" . }}
{{- if ne (include "docker-registry.scheme" $) "https" }}
- tls.clientCA.secretRef is {{ . }}, but the registry speaks plain HTTP, where clients show no certificates. Set tls.mode, or remove it.
{{- end }}
{{- if and (not $clients.required) (eq (include "docker-registry.imageMajor" $) "2") }}
- tls.clientCA.required is false, which registry 2 does not have: it turns away who shows no certificate (image.tag is {{ include "docker-registry.text" $.Values.image.tag }}). Set tls.clientCA.required: true, or image.tag: {{ $.Chart.AppVersion }}.
{{- end }}
{{- range $key := list "clientcas" "clientauth" }}
{{- if include "docker-registry.configured" (list $ "http" "tls" $key) }}
- tls.clientCA.secretRef and configData.http.tls.{{ $key }} are both set. Remove one of the two.
{{- end }}
{{- end }}
{{- end }}
{{- if and (include "docker-registry.tls.clientsMust" .) (eq (include "docker-registry.nodeTrust.exists" .) "true") }}
- nodeTrust.enabled is true, but the registry turns away who shows no certificate, and the nodes have none that nodeTrust could give them. Set tls.clientCA.required: false, or nodeTrust.enabled: false and write the nodes' hosts.toml yourself.
{{- end }}
{{- end }}

{{- define "docker-registry.contradictions.tls.names" -}}
{{- $mode := include "docker-registry.tls.mode" . }}
{{- range $at, $given := .Values.tls.names }}
{{- $name := printf "tls.names[%d]" $at }}
{{- $text := include "docker-registry.renderedText" (list $ $given) | trim | lower }}
{{- if and (eq $mode "selfSigned") (hasPrefix "*." $text) }}
- {{ $name }} is {{ $text }}, but selfSigned makes no certificate for all names below another. Write each name.
{{- else }}
{{- include "docker-registry.contradictions.address" (list $name (trimPrefix "*." $text)) }}
{{- end }}
{{- end }}
{{- end }}

{{- /* docker-registry.contradictions.tls.selfSigned (its values). The script checks the lifetimes too; here it is said before anything runs. */}}
{{- define "docker-registry.contradictions.tls.selfSigned" -}}
{{- $wrong := "" }}
{{- range $key := list "lifetime" "authorityLifetime" "timeout" }}
{{- $wrong = printf "%s%s" $wrong (include "docker-registry.duration" (list (printf "tls.selfSigned.%s" $key) (get $ $key))) }}
{{- end }}
{{- $wrong }}
{{- if not $wrong }}
{{- $life := include "docker-registry.seconds" .lifetime | int64 }}
{{- if lt $life 3600 }}
- tls.selfSigned.lifetime is {{ include "docker-registry.text" .lifetime }}, too short to be renewed in time. Set at least 1h, such as 365d.
{{- else if lt (include "docker-registry.seconds" .authorityLifetime | int64) (mul 2 $life) }}
- tls.selfSigned.authorityLifetime is {{ include "docker-registry.text" .authorityLifetime }}, but an authority must live at least twice as long as tls.selfSigned.lifetime, {{ include "docker-registry.text" .lifetime }}. Set it longer, such as 3650d.
{{- end }}
{{- if eq (include "docker-registry.seconds" .timeout) "0" }}
- tls.selfSigned.timeout is {{ include "docker-registry.text" .timeout }}, in which no Job can end. Set 4m.
{{- end }}
{{- end }}
{{- end }}

{{- /* docker-registry.contradictions.tls.certManager (root context): what cert-manager's own check would refuse in mid-install. */}}
{{- define "docker-registry.contradictions.tls.certManager" -}}
{{- $given := .Values.tls.certManager }}
{{- $api := "cert-manager.io/v1" }}
{{- if not (.Capabilities.APIVersions.Has $api) }}
- tls.mode is certManager, but the cluster does not know cert-manager's Certificates ({{ $api }}). Install cert-manager first, or set tls.mode: selfSigned. `helm template`, which asks no cluster, takes --api-versions {{ $api }}.
{{- end }}
{{- if not (include "docker-registry.text" $given.issuerRef.name) }}
- tls.mode is certManager, but tls.certManager.issuerRef.name does not say who signs. Set it to an Issuer's name; for a ClusterIssuer also tls.certManager.issuerRef.kind: ClusterIssuer.
{{- end }}
{{- if not (include "docker-registry.tls.names" . | fromJsonArray) }}
- tls.certManager.internalNames is false and no other name is given, so the certificate would be for no host. Set tls.names.
{{- end }}
{{- $wrong := "" }}
{{- range $key := list "duration" "renewBefore" }}
{{- $wrong = printf "%s%s" $wrong (include "docker-registry.duration" (list (printf "tls.certManager.%s" $key) (get $given $key) "empty")) }}
{{- end }}
{{- $wrong }}
{{- if not $wrong }}
{{- $duration := include "docker-registry.seconds" $given.duration | default "7776000" | int64 }}
{{- $before := include "docker-registry.seconds" $given.renewBefore }}
{{- if lt $duration 3600 }}
- tls.certManager.duration is {{ include "docker-registry.text" $given.duration }}, and cert-manager takes 1h at least. Set it longer, such as 90d.
{{- end }}
{{- if and $before (lt (int64 $before) 300) }}
- tls.certManager.renewBefore is {{ include "docker-registry.text" $given.renewBefore }}, and cert-manager takes 5m at least. Set it longer, such as 30d.
{{- else if and $before (ge (int64 $before) $duration) }}
- tls.certManager.renewBefore is {{ include "docker-registry.text" $given.renewBefore }}, but the certificate is only good for {{ include "docker-registry.text" $given.duration | default "90d" }}: it would be renewed for ever. Set it shorter.
{{- end }}
{{- end }}
{{- end }}
