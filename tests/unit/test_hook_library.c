#include "hooks/hook_library.h"

#include "tests/unit/hook_fixture.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void assert_refused(const char *path, enum sync_err want, const char *text)
{
    struct hook_library l = {0};
    struct err_ctx ec = {""};
    cr_assert_eq(hook_library_open(path, &l, &ec), want, "%s: %s", path, ec.text);
    cr_assert_not_null(strstr(ec.text, text), "%s", ec.text);
    cr_assert_not_null(strstr(ec.text, path), "%s", ec.text);
}

Test(hook_library, gives_the_table_of_a_hook)
{
    struct hook_library l;
    struct err_ctx ec = {""};
    cr_assert_eq(hook_library_open(HOOK("hook_scripted"), &l, &ec), SYNC_OK, "%s", ec.text);
    cr_assert_eq(l.table.abi, SYNC_HOOKS_ABI);
    cr_assert_not_null(l.table.storage_path);
    hook_library_close(&l);
}

Test(hook_library, refuses_a_newer_abi_and_names_both_numbers)
{
    assert_refused(HOOK("hook_newer"), SYNC_ECONFIG, "hook ABI 7, this server has ABI 2");
}

Test(hook_library, refuses_tables_that_cannot_be_right)
{
    assert_refused(HOOK("hook_abi_zero"), SYNC_ECONFIG, "ABI 0");
    assert_refused(HOOK("hook_tiny"), SYNC_ECONFIG, "has 8 bytes");
}

Test(hook_library, refuses_what_is_no_hook)
{
    assert_refused(HOOK("hook_nameless"), SYNC_ECONFIG, "does not export the symbol sync_hooks");
    assert_refused(HOOK("not_there"), SYNC_EIO, "No such file");
    assert_refused(HOOK_DIR, SYNC_EIO, "not a file");
    assert_refused(HOOK_TEXT, SYNC_ECONFIG, "invalid ELF header");
}

Test(hook_library, leaves_out_functions_past_the_end_of_an_older_table)
{
    struct hook_library l;
    struct err_ctx ec = {""};
    cr_assert_eq(hook_library_open(HOOK("hook_older"), &l, &ec), SYNC_OK, "%s", ec.text);
    cr_assert_eq(l.table.abi, 1);
    cr_assert_not_null(l.table.storage_path, "the last of ABI 1");
    cr_assert_null(l.table.coordinator_event, "it lies behind the end");
    hook_library_close(&l);
}

Test(hook_library, loads_two_files_under_one_path_as_two_libraries)
{
    char path[] = "/tmp/sync-hook-test-XXXXXX", command[512];
    struct hook_library one, two;
    struct err_ctx ec = {""};
    int fd = mkstemp(path);
    cr_assert_geq(fd, 0);
    (void)close(fd);
    (void)snprintf(command, sizeof command, "cp %s %s", HOOK("hook_scripted"), path);
    cr_assert_eq(system(command), 0);
    cr_assert_eq(hook_library_open(path, &one, &ec), SYNC_OK, "%s", ec.text);
    (void)snprintf(command, sizeof command, "cp %s %s", HOOK("hook_reloads"), path); /* in place: one inode */
    cr_assert_eq(system(command), 0);
    cr_assert_eq(hook_library_open(path, &two, &ec), SYNC_OK, "%s", ec.text);
    cr_assert_null(one.table.reload);
    cr_assert_not_null(two.table.reload);
    cr_assert_not(hook_file_same(&one.file, &two.file));
    cr_assert_neq(one.table.authorize, two.table.authorize);
    hook_library_close(&one);
    hook_library_close(&two);
    (void)unlink(path);
}

Test(hook_library, lays_out_each_abi_as_it_was_published)
{
    /* Whoever changes one of these numbers breaks every hook that was built: add at the end, and raise the
     * ABI. */
    cr_assert_eq(offsetof(struct sync_hooks, authenticate), 48);
    cr_assert_eq(offsetof(struct sync_hooks, coordinator_event), 16 + 11 * sizeof(void *), "where 1 ended");
    cr_assert_eq(sizeof(struct sync_hooks), 16 + 12 * sizeof(void *), "where 2 ends");
    cr_assert_eq(sizeof(struct sync_coordinator_event), 80);
    cr_assert_eq(sizeof(struct sync_hlc), 32);
    cr_assert_eq(sizeof(struct sync_request), 112);
    cr_assert_eq(sizeof(struct sync_grant), 1320);
    cr_assert_eq(sizeof(struct sync_identity), 104);
    cr_assert_eq(sizeof(struct sync_operation), 48);
    cr_assert_eq(sizeof(struct sync_change_set), 72);
    cr_assert_eq(sizeof(struct sync_change), 256);
    cr_assert_eq(sizeof(struct sync_rejection), 72);
    cr_assert_eq(sizeof(struct sync_change_sets), 56);
    cr_assert_eq(sizeof(struct sync_apply_result), 40);
    cr_assert_eq(sizeof(struct sync_host), 32);
    cr_assert_eq(sizeof(struct sync_answer), 260);
}
