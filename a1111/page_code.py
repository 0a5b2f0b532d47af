"""What the tab's handlers do in the browser."""

# The WebUI's own buttons: its lists are drawn anew only when somebody presses them. Only for another result than the
# last one: Automatic1111 also loads its model then. `parameters` names the result; "" where there is none.
REFRESH_LISTS = """(parameters) => {
    if (!parameters || parameters === window.dreamboothListed) return;
    window.dreamboothListed = parameters;
    const root = typeof gradioApp === 'function' ? gradioApp() : document;
    for (const id of ['forge_refresh_checkpoint', 'refresh_sd_model_checkpoint', 'txt2img_lora_extra_refresh',
                      'txt2img_checkpoints_extra_refresh']) {
        const found = root.querySelector('#' + id);
        if (found) found.click();
    }
}"""
# The result that a page begins with is in the WebUI's lists.
ALREADY_LISTED = "(parameters) => { window.dreamboothListed = parameters; }"
# As its checkpoint cards do: by default the WebUI passes over the model that pasted parameters name.
SELECT_MODEL = r"""(text) => {
    const found = text.match(/, Model: ("(?:\\.|[^\\"])*"|[^,]*)$/);
    const name = found && (found[1].startsWith('"') ? JSON.parse(found[1]) : found[1]);
    if (name && typeof selectCheckpoint === 'function') selectCheckpoint(name);
}"""
# Gradio 3.41 draws the drop zone as a plain box, anew whenever the files are cleared; 4.40 as a button.
REACH_BY_KEYBOARD = """() => {
    const root = typeof gradioApp === 'function' ? gradioApp() : document;
    const photos = root.querySelector('#ZONE');
    const reach = () => {
        const input = photos.querySelector('input[type=file]');
        const zone = input && input.parentElement;
        if (!zone || zone.tagName === 'BUTTON' || zone.tabIndex === 0) return;
        zone.tabIndex = 0;
        zone.setAttribute('role', 'button');
        zone.setAttribute('aria-label', 'LABEL');
        zone.addEventListener('keydown', (event) => {
            if (event.target !== zone || !['Enter', ' '].includes(event.key)) return;
            event.preventDefault();
            input.click();
        });
    };
    reach();
    new MutationObserver(reach).observe(photos, { childList: true, subtree: true });
}"""
# For Gradio 3.41, see `gradio_versions.keep_uploads`. A button's file input stands before it.
UPLOAD_APART = """() => {
    const root = typeof gradioApp === 'function' ? gradioApp() : document;
    const photos = root.querySelector('#ZONE');
    const arrived = root.querySelector('#BUTTON').previousElementSibling;
    const take = (event, files) => {
        if (!files || !files.length || !photos.querySelector('input[type=file]')) return;
        event.preventDefault();
        event.stopPropagation();
        photos.style.opacity = 0.5;
        setTimeout(() => { photos.style.opacity = 1; }, 60000);
        arrived.files = files;
        arrived.dispatchEvent(new Event('change'));
        event.target.dispatchEvent(new Event('dragleave', { bubbles: true }));
    };
    photos.addEventListener('change', (event) => take(event, event.target.files), true);
    photos.addEventListener('drop', (event) => take(event, event.dataTransfer.files), true);
    new MutationObserver(() => { photos.style.opacity = 1; }).observe(photos, { childList: true, subtree: true });
}"""
# A connection can break, by a WebUI that ends or a machine that sleeps: the view would stay as it is. Where a training
# is on the page and no view has come for SILENCE, another is asked for as soon as the WebUI answers, and where it does
# not, or none comes all the same, the page says so. (Without Gradio's queue every view is asked for like this.) A page
# that never had a view lost its first one: while a WebUI loads a model, Gradio 3.41 may end a connection unanswered.
WATCH_AGAIN = """() => {
    const SILENCE = 8000;
    const root = typeof gradioApp === 'function' ? gradioApp() : document;
    const lost = root.querySelector('#dreambooth_lost p');
    let seen = '', since = Date.now(), asked = 0;
    setInterval(async () => {
        const view = root.querySelector('#dreambooth_beat [data-view]');
        const newest = view ? view.dataset.view : 'none yet';
        if ((view && view.dataset.over) || newest !== seen) {
            seen = newest;
            since = Date.now();
            asked = 0;
            lost.hidden = true;
        } else if (Date.now() - since > SILENCE) {
            since = Date.now();
            const answers = await fetch('app_id', { cache: 'no-store' }).then(() => true, () => false);
            if (!answers || asked > 1) lost.hidden = false;
            if (!answers) return;
            asked += 1;
            root.querySelector('#dreambooth_watch').click();
        }
    }, 1000);
}"""
# What a change of a control keeps in the browser. Not before the form was filled: a page that loads changes them all.
# What a press of a button was answered is of the form as it was then, and goes with it. Here, not in a handler: an
# answer for each change would wait behind the views of a training.
REMEMBER = """(value) => {
    const files = Array.isArray(value) && value.length && typeof value[0] === 'object';
    const now = files ? value.map(file => file.path || file.name) : value;
    const known = window.dreamboothValues = window.dreamboothValues || {};
    const was = known['NAME'];
    known['NAME'] = JSON.stringify(now);
    if (!window.dreamboothFormIsThere || was === known['NAME']) return;
    const form = JSON.parse(localStorage.getItem('dreambooth-form') || '{}');
    form['NAME'] = now;
    localStorage.setItem('dreambooth-form', JSON.stringify(form));
    const root = typeof gradioApp === 'function' ? gradioApp() : document;
    for (const said of root.querySelectorAll(':is(#dreambooth_mistake_training, #dreambooth_mistake_words) p'))
        said.hidden = true;
}"""
READ_FORM = "() => [localStorage.getItem('dreambooth-form') || '{}']"
FORM_IS_THERE = "() => { setTimeout(() => { window.dreamboothFormIsThere = true; }, 500); }"
# Gradio 4.40 takes a choice that a filled form makes for one by hand: the preset's numbers would replace the form's.
BY_HAND = "(preset, method, lora, _) => [preset, method, lora, window.dreamboothFormIsThere ? 'by hand' : '']"


def reach_by_keyboard(zone: str, label: str) -> str:
    """The code that lets the keyboard reach a drop zone; label: what it says."""
    return REACH_BY_KEYBOARD.replace("ZONE", zone).replace("LABEL", label)


def upload_apart(zone: str, button: str) -> str:
    """The code that hands the files of a drop zone to an upload button."""
    return UPLOAD_APART.replace("ZONE", zone).replace("BUTTON", button)


def remember(name: str) -> str:
    """The code that keeps one control."""
    return REMEMBER.replace("NAME", name)
