/* Runs a fuzz target over the files of the folders given, each once: the kept corpus as a plain test. */
#include "tests/fuzz/fuzz_text.h"

#include <dirent.h>
#include <stdio.h>

enum { FILE_BYTES_MAX = 1 << 24, PATH_BYTES = 4096 };

static bool run_file(const char *path)
{
    static uint8_t bytes[FILE_BYTES_MAX];
    FILE *f = fopen(path, "rb");
    if (f == NULL) {
        perror(path);
        return false;
    }
    size_t len = fread(bytes, 1, sizeof bytes, f);
    bool whole = feof(f) != 0;
    (void)fclose(f);
    if (!whole) {
        fprintf(stderr, "%s: not read to its end\n", path);
        return false;
    }
    printf("%s\n", path); /* the last one printed is the one that crashed */
    (void)fflush(stdout);
    (void)LLVMFuzzerTestOneInput(bytes, len);
    return true;
}

static int run_folder(const char *folder)
{
    DIR *dir = opendir(folder);
    const struct dirent *entry;
    int count = 0;
    if (dir == NULL) {
        perror(folder);
        return 0;
    }
    while ((entry = readdir(dir)) != NULL) {
        char path[PATH_BYTES];
        if (entry->d_name[0] == '.') continue;
        int n = snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        if (n < 0 || (size_t)n >= sizeof path || !run_file(path)) {
            count = 0;
            break;
        }
        count++;
    }
    (void)closedir(dir);
    return count;
}

int main(int argc, char **argv)
{
    if (argc < 2) return EXIT_FAILURE;
    for (int i = 1; i < argc; i++)
        if (run_folder(argv[i]) == 0) return EXIT_FAILURE; /* an empty corpus tests nothing */
    return EXIT_SUCCESS;
}
