"""`/dreambooth/v1/…`, beside the WebUI's own API and under its --api and --api-auth."""

# No `from __future__ import annotations`: FastAPI reads the annotations of what is defined inside a function.
import secrets
from typing import Annotated, Any, Optional

from fastapi import Depends, FastAPI, HTTPException
from fastapi.security import HTTPBasic, HTTPBasicCredentials
from pydantic import BaseModel, Field

from ..trainer.presets import DEFAULT
from ..trainer.prompts import PromptTemplates
from . import desk
from .asked import Asked
from .child import ChildFailed
from .choosing import choose
from .host import page
from .job import Job
from .subjects import subjects
from .uploads import keep_encoded, keep_encoded_class_images


class ChooseRequest(BaseModel):
    """step: of the newest training, to be its result."""

    step: int


class TrainRequest(BaseModel):
    """What the tab asks. photos, class_images: base64; the latter are of the user's own. resume: go on with the last
    unfinished training, the rest is not read.
    """

    photos: list[str] = Field(default_factory=list)
    class_images: list[str] = Field(default_factory=list)
    class_noun: str = ""
    identifier: str = ""
    base: str = ""
    prediction: str = ""
    method: str = "lora"
    preset: str = DEFAULT
    name: str = "my_subject"
    continue_from: str = ""
    resolution: Optional[int] = None  # noqa: UP045 pydantic 1 on Python 3.10 reads both
    buckets: bool = False
    close_ups: int = 0
    priors: Optional[int] = None  # noqa: UP045
    instance_prompt: str = PromptTemplates().instance
    class_prompt: str = PromptTemplates().class_
    options: dict[str, Any] = Field(default_factory=dict)
    resume: bool = False


def add_routes(app: FastAPI) -> None:
    """train, status, stop, choose, subjects."""
    users = page.api_users()
    guarded: dict[str, Any] = {"dependencies": [Depends(_require(users))]} if users else {}
    root = "/dreambooth/v1"
    app.add_api_route(f"{root}/train", _train, methods=["POST"], **guarded)
    app.add_api_route(f"{root}/status", _status, methods=["GET"], **guarded)
    app.add_api_route(f"{root}/stop", _stop, methods=["POST"], **guarded)
    app.add_api_route(f"{root}/choose", _choose, methods=["POST"], **guarded)
    app.add_api_route(f"{root}/subjects", subjects, methods=["GET"], **guarded)


def _require(users: dict[str, str]) -> Any:
    def check(credentials: Annotated[HTTPBasicCredentials, Depends(HTTPBasic())]) -> None:
        password = users.get(credentials.username, "")
        same = secrets.compare_digest(credentials.password.encode(), password.encode())
        if not (same and credentials.username in users):
            headers = {"WWW-Authenticate": "Basic"}
            raise HTTPException(401, "Incorrect username or password", headers)

    return check


def _train(request: TrainRequest) -> dict[str, Any]:
    try:
        return _described(desk.resume() if request.resume else desk.begin(_asked(request)))
    except ValueError as error:
        raise HTTPException(422, str(error)) from error


def _asked(request: TrainRequest) -> Asked:
    apart = ("photos", "class_images", "resume")
    fields = {name: getattr(request, name) for name in TrainRequest.__annotations__ if name not in apart}
    own = keep_encoded_class_images(request.class_images)
    return Asked(photos=keep_encoded(request.photos), class_images=own, **fields)


def _status() -> dict[str, Any]:
    job = desk.newest()
    return {"status": "none"} if job is None else _described(job)


def _stop() -> dict[str, Any]:
    return {"stopping": desk.stop()}


def _choose(request: ChooseRequest) -> dict[str, Any]:
    try:
        result = choose(request.step)
    except (ValueError, ChildFailed) as error:
        raise HTTPException(422, str(error)) from error
    return {"file": result["file"], "step": result["steps"], "choice": result["choice"]}


def _described(job: Job) -> dict[str, Any]:
    last = job.points[-1] if job.points else (0, None, None)
    return {
        "id": job.id,
        "status": job.status,
        "stopping": job.stopping,
        "doing": job.doing,
        "done": job.done,
        "total": job.total,
        "step": last[0],
        "loss": last[1],
        "prior_loss": last[2],
        "seconds_left": job.seconds_left,
        "warnings": job.warnings,
        "error": job.error,
        "result": job.result,
    }
