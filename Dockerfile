# The sidecar, the observer and the command line of rlb, in one image:
#
#   docker build --build-arg BUILD_REVISION="$(git rev-parse HEAD)" --tag redis-llm-bridge:0.1.0 .
#
# The base image is named without a host, so that any registry or mirror may serve it, and by a tag, which moves with
# security fixes. Who wants the same bytes every time names a digest, which belongs to the registry that it is pulled
# from and so cannot stand here: --build-arg PYTHON_IMAGE=python@sha256:...
ARG PYTHON_IMAGE=python:3.13-slim-bookworm

FROM ${PYTHON_IMAGE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_ROOT_USER_ACTION=ignore \
    PYTHONDONTWRITEBYTECODE=1
WORKDIR /src

# What seldom changes comes first. The build back end has an environment of its own, which stays behind in this stage;
# neither holds pip.
COPY requirements/image.txt requirements/build.txt requirements/
RUN python -m venv --without-pip /opt/build \
 && python -m venv --without-pip /opt/rlb \
 && python -m pip --python /opt/build/bin/python install --require-hashes --no-deps --only-binary :all: \
      -r requirements/build.txt \
 && python -m pip --python /opt/rlb/bin/python install --require-hashes --no-deps --only-binary :all: --no-compile \
      -r requirements/image.txt

COPY pyproject.toml LICENSE ./
COPY sidecar sidecar
COPY tui tui
RUN /opt/build/bin/python -m hatchling build --target wheel --directory /tmp/wheel \
 && python -m pip --python /opt/rlb/bin/python install --no-deps --no-index --no-compile /tmp/wheel/*.whl

# A read-only root takes no bytecode, and the base image's standard library comes without: each start, and each probe,
# would compile what it imports. Here is all of it, in one tree, never compared with the times of sources, which
# copying from stage to stage and rebuilding change.
RUN standard="$(python -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')" \
 && PYTHONPYCACHEPREFIX=/opt/pycache python -m compileall -q -j 0 --invalidation-mode unchecked-hash \
      -x '/(ensurepip|idlelib|lib2to3|pydoc_data|site-packages|test|tests|tkinter|turtledemo)/' "$standard" \
 && PYTHONPYCACHEPREFIX=/opt/pycache python -m compileall -q -j 0 --invalidation-mode unchecked-hash \
      /opt/rlb/lib \
 && mkdir -p /tree/run/rlb

# Nothing runs in this stage, so that another base with the same Python in the same place will do, one without a shell
# as well.
FROM ${PYTHON_IMAGE}
ARG BUILD_REVISION=""
LABEL org.opencontainers.image.title="redis-llm-bridge" \
      org.opencontainers.image.description="A sidecar that carries LLM token streams through Redis Streams, over a Unix socket." \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.revision="${BUILD_REVISION}" \
      org.opencontainers.image.licenses="Apache-2.0"
# BUILD_REVISION is a label of rlb_build_info. The socket's path stands here so that `rlb health`, `rlb tail` and all
# others in this container find it; it beats the path in a settings file.
ENV BUILD_REVISION="${BUILD_REVISION}" \
    PATH="/opt/rlb/bin:${PATH}" \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONPYCACHEPREFIX=/opt/pycache \
    RLB_SOCKET__PATH=/run/rlb/rlb.sock
COPY --from=build /opt/rlb /opt/rlb
COPY --from=build /opt/pycache /opt/pycache
# The folder of the socket, ours: a new named volume that is mounted there takes its owner over.
COPY --from=build --chown=65532:65532 /tree/run/ /run/

# A number and no name: Kubernetes can tell by it that this is not root.
USER 65532:65532
EXPOSE 9464
STOPSIGNAL SIGTERM
# Of `rlb run`. An observer has no socket: docker run --no-healthcheck ... observe. Kubernetes has probes of its own.
HEALTHCHECK --interval=30s --timeout=3s --start-period=10s --retries=3 CMD ["rlb", "health", "live"]
ENTRYPOINT ["rlb"]
CMD ["run"]
