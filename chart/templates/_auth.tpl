{{- /*
Who may use the registry. All helpers take the root context.
*/}}

{{- /* docker-registry.htpasswd: true where the registry asks for users of an htpasswd file. */}}
{{- define "docker-registry.htpasswd" -}}
{{- if or .Values.secrets.htpasswd .Values.secrets.htpasswdRef.name }}true{{ end }}
{{- end }}

{{- /* docker-registry.tokenAuth: true where the registry sends clients to a token server. */}}
{{- define "docker-registry.tokenAuth" -}}
{{- with .Values.auth.token }}
{{- if and (or .realm .service .issuer .rootCertBundle .rootCertBundleRef.name .jwks) (not (include "docker-registry.htpasswd" $)) }}true{{ end }}
{{- end }}
{{- end }}

{{- /* docker-registry.auth: htpasswd, token, configured (in configData), or nothing: everybody may do everything. */}}
{{- define "docker-registry.auth" -}}
{{- $extra := include "docker-registry.extraValues" . | fromYaml }}
{{- if include "docker-registry.htpasswd" . }}htpasswd
{{- else if include "docker-registry.tokenAuth" . }}token
{{- else if or (include "docker-registry.configured" (list . "auth")) (hasKey $extra "REGISTRY_AUTH") }}configured
{{- end }}
{{- end }}

{{- define "docker-registry.authEnv" -}}
{{- $auth := .Values.auth }}
{{- if include "docker-registry.htpasswd" . }}
- {name: REGISTRY_AUTH, value: "htpasswd"}
- {name: REGISTRY_AUTH_HTPASSWD_REALM, value: {{ include "docker-registry.scalar" $auth.htpasswd.realm | quote }}}
- {name: REGISTRY_AUTH_HTPASSWD_PATH, value: "/auth/htpasswd"}
{{- else if include "docker-registry.tokenAuth" . }}
- {name: REGISTRY_AUTH, value: "token"}
{{- range $key, $value := omit $auth.token "rootCertBundle" "rootCertBundleRef" "jwks" "signingAlgorithms" }}
{{- if and $value (not (kindIs "map" $value)) (not (kindIs "slice" $value)) }}
- {name: REGISTRY_AUTH_TOKEN_{{ upper $key }}, value: {{ include "docker-registry.scalar" $value | quote }}}
{{- end }}
{{- end }}
{{- if or $auth.token.rootCertBundle $auth.token.rootCertBundleRef.name }}
- {name: REGISTRY_AUTH_TOKEN_ROOTCERTBUNDLE, value: "/etc/docker-registry/token/rootcertbundle.pem"}
{{- end }}
{{- if $auth.token.jwks }}
- {name: REGISTRY_AUTH_TOKEN_JWKS, value: "/etc/docker-registry/token/jwks.json"}
{{- end }}
{{- with $auth.token.signingAlgorithms }}
- {name: REGISTRY_AUTH_TOKEN_SIGNINGALGORITHMS, value: {{ toJson . | quote }}}
{{- end }}
{{- end }}
{{- end }}

{{- define "docker-registry.htpasswdMounts" -}}
{{- if include "docker-registry.htpasswd" . }}
- name: auth
  mountPath: /auth
  readOnly: true
{{- end }}
{{- end }}

{{- define "docker-registry.htpasswdVolumes" -}}
{{- if include "docker-registry.htpasswd" . }}
{{- $ref := .Values.secrets.htpasswdRef }}
{{- $name := include "docker-registry.renderedText" (list . $ref.name) }}
{{- $own := include "docker-registry.existingSecret" . | default (include "docker-registry.secret.name" .) }}
- name: auth
  secret:
    secretName: {{ $name | default $own | quote }}
    items:
      - key: {{ ternary ($ref.key | default "htpasswd") "htpasswd" (not (empty $name)) | quote }}
        path: htpasswd
{{- end }}
{{- end }}

{{- /* docker-registry.tokenData: what tokens are checked with, as the data of a ConfigMap. It is public. */}}
{{- define "docker-registry.tokenData" -}}
{{- $data := dict }}
{{- if include "docker-registry.tokenAuth" . }}
{{- with .Values.auth.token }}
{{- if and .rootCertBundle (not .rootCertBundleRef.name) }}
{{- $_ := set $data "rootcertbundle.pem" .rootCertBundle }}
{{- end }}
{{- with .jwks }}
{{- $_ := set $data "jwks.json" (kindIs "string" . | ternary . (toJson .)) }}
{{- end }}
{{- end }}
{{- end }}
{{- toYaml $data }}
{{- end }}

{{- define "docker-registry.token.name" -}}
{{- include "docker-registry.fullname" . }}-token
{{- end }}

{{- define "docker-registry.tokenMounts" -}}
{{- if include "docker-registry.tokenAuth" . }}
- name: token
  mountPath: /etc/docker-registry/token
  readOnly: true
{{- end }}
{{- end }}

{{- define "docker-registry.tokenVolumes" -}}
{{- if include "docker-registry.tokenAuth" . }}
{{- $ref := .Values.auth.token.rootCertBundleRef }}
- name: token
  projected:
    sources:
      {{- if include "docker-registry.tokenData" . | fromYaml }}
      - configMap:
          name: {{ include "docker-registry.token.name" . | quote }}
      {{- end }}
      {{- with include "docker-registry.renderedText" (list . $ref.name) }}
      - secret:
          name: {{ . | quote }}
          items:
            - key: {{ $ref.key | default "tls.crt" | quote }}
              path: rootcertbundle.pem
      {{- end }}
{{- end }}
{{- end }}
