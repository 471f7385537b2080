import json

from spikevision.statistics.page import figure, listing, page, section, table


def test_names_cannot_break_out_of_the_page():
    evil = "<script>alert(1)</script>"
    text = page(evil, [section(evil, evil, listing([evil]), table([evil], [[evil]]))], plotly="")
    assert evil not in text


def test_chart_data_cannot_end_its_script():
    chart = {"data": [{"name": "</script><b>"}]}
    text = figure(chart)
    assert text.count("</script>") == 1
    assert json.loads(text.partition('json">')[2].partition("</script>")[0]) == chart


def test_a_number_is_shown_short_and_sorted_exactly():
    text = table(["n"], [[0.123456789], [1234567], [12345.6], [None]], sortable=True)
    assert '<td data-value="0.123456789">0.1235</td>' in text
    assert '<td data-value="1234567">1,234,567</td>' in text
    assert '<td data-value="12345.6">12,346</td>' in text
    assert "<td></td>" in text
