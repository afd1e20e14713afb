// A page to label on shows at once where names are typed.
labels.start(true);
